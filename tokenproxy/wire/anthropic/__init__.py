"""Anthropic's dialect."""

from tokenproxy.wire.anthropic.messages import MESSAGES

__all__ = ["MESSAGES"]
