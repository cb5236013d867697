"""The way out through OpenTelemetry's SDK: the only package that imports opentelemetry.

For what :mod:`tokenproxy.telemetry.otlp` does not do itself, and for a ledger that is shipped.
"""
