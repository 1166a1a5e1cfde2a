"""rtl/top.py: its ports are those of spec/ports.py, which the documents have."""

from __future__ import annotations

from dataclasses import replace

import pytest
from amaranth.hdl import Fragment, Shape

from rtl.top import Top
from spec.ports import PORTS
from spec.presets import PRESETS
from spec.tile import TileSpec

TILES = {
    "tiny": PRESETS["tiny"],
    "one": replace(PRESETS["tiny"], rows=1, columns=1),
    "wide": replace(
        PRESETS["small"],
        rows=37,
        columns=65,
        converters=replace(PRESETS["small"].converters, lanes=4, forward_bits=14),
        host=replace(PRESETS["small"].host, axis_bytes=2),
    ),
}


@pytest.mark.parametrize("spec", TILES.values(), ids=TILES)
def test_every_port_is_in_the_table(spec: TileSpec) -> None:
    top = Top(spec)
    Fragment.get(top, None)  # else Amaranth warns of a design that nobody uses
    found = [
        (name, Shape.cast(member.shape).width, member.flow.name == "Out")
        for name in top.ports
        for member in [top.signature.members[name]]
    ]
    assert found == [(port.name, port.bits(spec), port.output) for port in PORTS]


def test_every_port_has_a_sentence_of_its_own() -> None:
    assert all(port.text for port in PORTS)
    assert len({port.name for port in PORTS}) == len(PORTS)
