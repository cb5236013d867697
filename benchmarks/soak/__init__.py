"""An hour of 50 streams, faster than it would be, with faults among them: ``make soak``."""
