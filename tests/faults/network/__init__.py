"""Faults of the network, in tables: the same exchange without us and through us, and its row."""
