"""Who sends (opentelemetry-proto, resource/v1). The user's own words win over ours."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from urllib.parse import unquote

from tokenproxy import __version__
from tokenproxy.telemetry import semconv as names
from tokenproxy.telemetry.attributes import text

logger = logging.getLogger(__name__)


def sender(env: Mapping[str, str], instance_id: str) -> dict[str, str]:
    """The resource's attributes.

    ``telemetry.sdk.*`` name what makes the spans, which here is not OpenTelemetry's SDK
    (specification, resource/sdk.md: another one must say another name).
    """
    found = {
        names.SDK_LANGUAGE: "python",
        names.SDK_NAME: names.SCOPE,
        names.SDK_VERSION: __version__,
        names.SERVICE_NAME: names.SCOPE,
        names.SERVICE_VERSION: __version__,
        names.SERVICE_INSTANCE_ID: instance_id,
    }
    for pair in env.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        name, equals, value = pair.partition("=")
        if name.strip() and equals:
            found[text(name.strip())] = text(unquote(value.strip()))
        elif pair.strip():
            logger.warning("OTEL_RESOURCE_ATTRIBUTES: %r is not name=value", pair)
    if service := env.get("OTEL_SERVICE_NAME"):
        found[names.SERVICE_NAME] = text(service)
    return found
