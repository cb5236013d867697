"""Bytes in flight: the only package that imports mitmproxy."""
