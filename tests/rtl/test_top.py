"""rtl/top.py: its ports are those of spec/ports.py, and what its Verilog has for other tools."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from amaranth.hdl import Fragment, Shape

from rtl.export import verilog
from rtl.top import Top, module_name
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


@pytest.mark.parametrize("flops", [0, 2, 3])
def test_flip_flops_that_synchronise_say_so(flops: int) -> None:
    tiny = PRESETS["tiny"]
    spec = replace(tiny, host=replace(tiny.host, synchroniser_flops=flops))
    text = verilog(Top(spec), module_name(spec), "title")
    kept = re.findall(r'ASYNC_REG = "TRUE" \*\)\n  (?:output \w+;\n  )?reg (\w+);', text)
    # Those of ready, and those of analog_safe.
    assert sorted(kept) == sorted(2 * [f"stage{number}" for number in range(flops)])
