"""A component's inner registers, for the invariants that an induction needs.

The product has no ports for them: they are found by name in what the component elaborates to.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Fragment, Signal


class Inside:
    """`fragment` goes in the component's place; `inside["cycle"]` is its signal of that name."""

    def __init__(self, component: Any, *path: str) -> None:
        """`path` names submodules, from the component inwards."""
        self.fragment = Fragment.get(component, None)
        self.signals = _driven(self.fragment, path)

    @classmethod
    def of(cls, other: Inside, *path: str) -> Inside:
        """Signals of a submodule of the same fragment."""
        inner = object.__new__(cls)
        inner.fragment, inner.signals = other.fragment, _driven(other.fragment, path)
        return inner

    def __getitem__(self, name: str) -> Any:
        found = self.signals.get(name, [])
        if len(found) != 1:
            raise KeyError(f"{name}: {len(found)} signals of that name; {sorted(self.signals)}")
        return found[0]

    def state(self, name: str) -> Any:
        """Whether the only state machine is in that state."""
        return self["fsm_state"] == self.codes[name]

    @property
    def codes(self) -> dict[str, int]:
        """The code of each state of the only state machine."""
        signal = self["fsm_state"]
        texts = [signal.decoder(code) for code in range(1 << len(signal)) if _known(signal, code)]
        return {text.rpartition("/")[0]: int(text.rpartition("/")[2]) for text in texts}


def _known(signal: Signal, code: int) -> bool:
    try:
        signal.decoder(code)
    except (KeyError, IndexError):
        return False
    return True


def _driven(fragment: Any, path: tuple[str, ...]) -> dict[str, list[Signal]]:
    for name in path:
        fragment = next(part for part, called, *_ in fragment.subfragments if called == name)
    signals: dict[str, list[Signal]] = {}
    for statements in fragment.statements.values():
        for signal in statements._lhs_signals():
            known = signals.setdefault(signal.name, [])
            if not any(signal is other for other in known):
                known.append(signal)
    return signals
