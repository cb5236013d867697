"""Kills of everything, at every step, and the account after each: ``make faults``."""
