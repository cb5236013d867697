"""A simulated model API that speaks the wire exactly, faults included."""
