"""Every parser under bytes that nobody would send: see :mod:`tests.fuzz.targets`."""
