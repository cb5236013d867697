"""Spans and metrics: the only package that imports opentelemetry, and only when it is on."""
