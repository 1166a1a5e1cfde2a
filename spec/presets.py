"""Named tiles. Each derives from the one before, so that a difference is a line here."""

from __future__ import annotations

from dataclasses import replace

from spec.errors import InputError
from spec.tile import TileSpec

_default = TileSpec(rows=529, columns=250)
_paper = replace(_default, transfer=replace(_default.transfer, c_max=1024, trim_gain=47))
_small = replace(_paper, rows=33, columns=16)
_tiny = replace(
    _small,
    rows=5,
    columns=3,
    codes=replace(_small.codes, pwm_bits=4, column_bits=3),
    update=replace(_small.update, slots=8),
    converters=replace(
        _small.converters, forward_bits=5, backward_bits=5, read_average_log2=1, lanes=1
    ),
    transfer=replace(_small.transfer, transfer_interval=8, trim_limit=16),
)

PRESETS = {"tiny": _tiny, "small": _small, "paper": _paper}


def preset(name: str) -> TileSpec:
    """The preset of that name. Raises InputError."""
    if name not in PRESETS:
        raise InputError(f"preset {name}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
