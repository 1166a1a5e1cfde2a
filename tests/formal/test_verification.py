"""docs/verification.md says what the harnesses say."""

from __future__ import annotations

from tests.formal.verification import DOCUMENT, document


def test_the_document_is_current() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run `make docs`"
