"""The everyday way out: OTLP over HTTP, written and sent by ourselves, without the SDK."""
