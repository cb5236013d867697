"""Simulated model APIs that speak each provider's wire exactly, faults included."""
