"""A parameter is a frozen dataclass field that knows its unit, range, source and tag."""

from __future__ import annotations

import dataclasses
import types
import typing
from fractions import Fraction
from typing import Any

from spec.errors import InputError

TAGS = ("found", "derived", "assumed", "design")


def parameter(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    tag: str = "assumed",
    source: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A dataclass field with the facts that `--help-set` prints and `check_fields` enforces.

    tag is one of TAGS: `found`, `derived` and `assumed` are claims about the machine (see
    docs/physics.md), `design` is a choice of this project's digital side.
    """
    if tag not in TAGS:
        raise ValueError(f"unknown tag {tag!r}")
    metadata = {
        "doc": doc,
        "unit": unit,
        "tag": tag,
        "source": source,
        "low": low,
        "high": high,
        "choices": choices,
    }
    return dataclasses.field(default=default, metadata=metadata)


def check_fields(instance: Any) -> None:
    """Check type and range of every `parameter` field of a dataclass instance.

    Raises InputError: one line with the name, the value and what is allowed.
    """
    hints = typing.get_type_hints(type(instance))
    for field in dataclasses.fields(instance):
        if "doc" not in field.metadata:
            continue
        value, hint, facts = getattr(instance, field.name), hints[field.name], field.metadata
        if hint is bool:
            legal = isinstance(value, bool)
        elif hint is int:
            legal = isinstance(value, int) and not isinstance(value, bool)
        elif hint is float:
            legal = isinstance(value, (int, float)) and not isinstance(value, bool)
            legal = legal and value == value and abs(value) != float("inf")
        else:
            legal = isinstance(value, str)
        if not legal:
            name = getattr(hint, "__name__", str(hint))
            raise InputError(f"{field.name}={value!r}: give a value of type {name}")
        if facts["choices"] and value not in facts["choices"]:
            raise InputError(f"{field.name}={value}: choose one of {', '.join(facts['choices'])}")
        low, high = facts["low"], facts["high"]
        if (low is not None and value < low) or (high is not None and value > high):
            bounds = f"{'-inf' if low is None else low} to {'inf' if high is None else high}"
            raise InputError(f"{field.name}={value}: give a value from {bounds}")


def leaves(tree: Any, prefix: str = "") -> dict[str, tuple[Any, dataclasses.Field[Any]]]:
    """Every parameter of a tree of dataclasses: dotted path -> (value, field)."""
    found: dict[str, tuple[Any, dataclasses.Field[Any]]] = {}
    for field in dataclasses.fields(tree):
        value = getattr(tree, field.name)
        if dataclasses.is_dataclass(value):
            found.update(leaves(value, f"{prefix}{field.name}."))
        elif "doc" in field.metadata:
            found[f"{prefix}{field.name}"] = (value, field)
    return found


def _parse(text: str, field: dataclasses.Field[Any], hint: Any) -> Any:
    if hint is bool:
        words = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
        if text.lower() not in words:
            raise InputError(f"{field.name}={text}: give true or false")
        return words[text.lower()]
    if hint is int or hint is float:
        try:
            return hint(text)
        except ValueError:
            kind = "whole number" if hint is int else "number"
            raise InputError(f"{field.name}={text}: give a {kind}") from None
    return text


def _replace(tree: Any, texts: dict[str, str]) -> Any:
    """All of a level at once, so that two values may be legal only together."""
    changes: dict[str, Any] = {}
    hints = typing.get_type_hints(type(tree))
    for field in dataclasses.fields(tree):
        if field.name in texts:
            changes[field.name] = _parse(texts[field.name], field, hints[field.name])
        stem = field.name + "."
        below = {path[len(stem) :]: t for path, t in texts.items() if path.startswith(stem)}
        if below:
            changes[field.name] = _replace(getattr(tree, field.name), below)
    return dataclasses.replace(tree, **changes)


def override(tree: Any, settings: dict[str, str]) -> Any:
    """A copy of a tree of dataclasses with `settings` (name or dotted path -> text) applied.

    A name may be a dotted path or any unambiguous tail of one; the order does not matter.
    Raises InputError.
    """
    texts: dict[str, str] = {}
    for name, text in settings.items():
        paths = [p for p in leaves(tree) if p == name or p.endswith("." + name)]
        if not paths:
            close = [p for p in leaves(tree) if name.split(".")[-1] in p]
            hint = f"did you mean {close[0]}?" if close else "see --help-set for the names"
            raise InputError(f"--set {name}: unknown parameter, {hint}")
        if len(paths) > 1:
            raise InputError(f"--set {name}: ambiguous, choose one of {', '.join(paths)}")
        texts[paths[0]] = text
    return _replace(tree, texts)


def as_fraction(value: float) -> Fraction:
    """The decimal number that a float prints as, exactly: 0.1 is 1/10, on every platform."""
    return Fraction(str(value))


def to_dict(tree: Any) -> Any:
    """A tree of dataclasses as nested plain dictionaries, for JSON."""
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return {f.name: to_dict(getattr(tree, f.name)) for f in dataclasses.fields(tree)}
    if isinstance(tree, types.MappingProxyType):
        return dict(tree)
    return tree
