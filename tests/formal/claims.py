"""What a harness claims: a property, in words, and a damage of the design that it must find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
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

    @contextmanager
    def breaks(self, *users: ModuleType) -> Iterator[None]:
        """Meanwhile the module, and its `users`, have their components from a damaged copy."""
        copy = damaged(self.module, self.old, self.new)
        own = {
            name: value
            for name, value in vars(self.module).items()
            if isinstance(value, type) and value.__module__ == self.module.__name__
        }
        with ExitStack() as stack:
            for user in {self.module, *users}:
                for name, value in own.items():
                    if getattr(user, name, None) is value:
                        stack.enter_context(patch.object(user, name, getattr(copy, name)))
            yield


def table(claims: Sequence[Claim]) -> str:
    """The claims as rows of docs/verification.md."""
    lines = ["| property | says | damage that it finds |", "|---|---|---|"]
    for claim in claims:
        damage = f"{claim.module.__name__}: {code(claim.old)} becomes {code(claim.new)}"
        lines.append(f"| `{claim.name}` | {claim.says} | {damage} |")
    return "\n".join(lines)


def code(text: str) -> str:
    """Text of a program in one cell of a table."""
    # A bar would end the cell.
    return f"`{' '.join(text.split())}`".replace("|", "\\|")
