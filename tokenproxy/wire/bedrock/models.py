"""What the model id in a path says.

It is a model's id, the id of an inference profile (the same with the profile's
area before it: ``us.anthropic.claude-opus-5-5``) or an ARN. An ARN of a
foundation model or of a profile that AWS defines ends in such an id; those of
application profiles, provisioned models, routers and imported models name
nothing that has a list price.

The price depends on the area: ``global.`` is cheaper than any other. So the
path's id is the model that served, where the answer gives only the vendor's
name for it.
"""

from __future__ import annotations

from typing import Final

from tokenproxy.wire.words import word

_NAMING: Final = ("foundation-model", "inference-profile")
_ARN_FIELDS: Final = 5
"""Colons before an ARN's resource, which may hold more of them."""


def model_of(path_id: str | None) -> str | None:
    """The model's id in a path's id or in an ARN; None if it names no model."""
    name = word(path_id, 2048)
    if name is None or not name.startswith("arn:"):
        return word(name)
    kind, _, identity = name.split(":", _ARN_FIELDS)[-1].partition("/")
    return word(identity) if kind in _NAMING else None


def served(path_id: str | None, stated: str | None) -> str | None:
    """The model that served.

    Args:
        path_id: what the path names.
        stated: what the answer names.
    """
    asked = model_of(path_id)
    if asked is None or stated is None:
        return asked or stated
    return asked if stated in asked else stated
