"""Who sends, as the SDK tells it."""

from __future__ import annotations

from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from tokenproxy import __version__
from tokenproxy.telemetry import semconv


def sender(instance_id: str) -> Resource:
    """Who sends. The user's own words (``OTEL_RESOURCE_ATTRIBUTES``) win over our defaults."""
    ours = Resource(
        {
            semconv.SERVICE_NAME: semconv.SCOPE,
            semconv.SERVICE_VERSION: __version__,
            semconv.SERVICE_INSTANCE_ID: instance_id,
        }
    )
    return Resource.create().merge(ours).merge(OTELResourceDetector().detect())
