"""Run a command behind the proxy: socket, environment, child, signals, exit.

The start-up path: nothing here imports mitmproxy or opentelemetry.
"""
