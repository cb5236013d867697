"""Exact token accounting for agent commands, taken from the wire."""

__version__ = "0.1.0"
