"""docs/verification.md says what the harnesses say."""

from __future__ import annotations

from amaranth.hdl import Fragment

from tests.formal.promises import PROMISES
from tests.formal.verification import DOCUMENT, document, sections


def test_the_document_is_current() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run `make docs`"


def test_every_promise_has_its_properties() -> None:
    known = set()
    for section in sections():
        harness = section.harness()
        Fragment.get(harness, None)
        known |= {f"{section.harness.__name__}.{name}" for name in harness.names}
    assert {name for _, names in PROMISES for name in names.split()} <= known
