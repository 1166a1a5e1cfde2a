"""What a harness claims: a property, in words, and a damage of the design that it must find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest.mock import patch

from tests.formal.prove import damaged


@dataclass(frozen=True)
class Claim:
    """In `module`, `new` in the place of `old` breaks the property `name`, which `says` this."""

    name: str
    says: str
    module: ModuleType
    old: str
    new: str

    def breaks(self, *users: ModuleType) -> Any:
        """While it is entered, `users` make their parts from the damaged copy of the module."""
        copy = damaged(self.module, self.old, self.new)
        return _Parts([(user, _classes(self.module, copy, user)) for user in {self.module, *users}])


def _classes(module: ModuleType, copy: ModuleType, user: ModuleType) -> dict[str, Any]:
    return {
        name: getattr(copy, name)
        for name, value in vars(module).items()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and getattr(user, name, None) is value
    }


class _Parts:
    def __init__(self, parts: list[tuple[ModuleType, dict[str, Any]]]) -> None:
        self.patches = [patch.multiple(user, **classes) for user, classes in parts if classes]
        if not self.patches:
            raise ValueError("nobody uses what is damaged")

    def __enter__(self) -> None:
        for each in self.patches:
            each.start()

    def __exit__(self, *_: object) -> None:
        for each in reversed(self.patches):
            each.stop()


def table(claims: Sequence[Claim], method: str) -> str:
    """The claims as rows of docs/verification.md."""
    lines = ["| property | says | method | damage that it finds |", "|---|---|---|---|"]
    for claim in claims:
        old, new = (_one_line(text) for text in (claim.old, claim.new))
        where = claim.module.__name__
        lines.append(f"| `{claim.name}` | {claim.says} | {method} | {where}: `{old}` -> `{new}` |")
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|") or "(nothing)"
