"""What tokenproxy costs beside its peers: ``python -m benchmarks --help``."""
