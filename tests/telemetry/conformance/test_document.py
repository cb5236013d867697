from __future__ import annotations

from tests.telemetry.conformance.capture import Capture
from tests.telemetry.conformance.document import DOCUMENT, render


def test_the_document_is_what_the_tables_and_a_run_say(captures: dict[str, Capture]) -> None:
    made = render(captures)
    assert DOCUMENT.read_text() == made, "python -m tests.telemetry.conformance --write"
