"""The standard cells of a whole tile, the least one that has all blocks, are what was mapped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("amaranth", reason="needs the hdl extra: pip install '.[hdl]'")

from rtl import export
from rtl.top import Top, module_name
from spec.presets import preset
from synth import asic, equivalence, liberty
from synth.netlist import Netlist
from tests.synth import damage
from tests.synth.block import needs_cells

TINY = preset("tiny")
LEAST = replace(
    TINY,
    rows=3,
    columns=2,
    codes=replace(TINY.codes, pwm_bits=2, column_bits=2),
    update=replace(TINY.update, slots=2),
    converters=replace(TINY.converters, forward_bits=4, backward_bits=4, read_bits=6),
    transfer=replace(TINY.transfer, c_max=16, prog_tol=2),
    host=replace(TINY.host, axis_bytes=2),
)
"""Of sizes and widths that are synthesized in seconds; `test_tile_gates` has the tiny preset."""
TARGET = asic.TARGETS["osu018"]


@needs_cells
@pytest.mark.slow
def test_a_tile_is_proven_and_one_changed_gate_is_named(tmp_path: Path) -> None:
    top = module_name(LEAST)
    (tmp_path / f"{top}.v").write_text(export.verilog(Top(LEAST), top, "the tile of this test"))
    TARGET.synthesize(top, tmp_path)
    verdict = equivalence.compare(asic.GENERIC, asic.NETLIST, top, TARGET.library, tmp_path)
    assert verdict.unproven == ()
    assert verdict.points > 1000

    graph = Netlist.read(tmp_path / asic.GRAPH, top, liberty.read(TARGET.library))
    gate = damage.gate_before(graph, "macro_row_pulse[1]")
    changed = damage.swapped((tmp_path / asic.NETLIST).read_text(), gate)
    (tmp_path / "changed.v").write_text(changed)
    found = equivalence.compare(asic.GENERIC, "changed.v", top, TARGET.library, tmp_path)
    assert found.unproven == ("macro_row_pulse[1]",)
    assert found.points == verdict.points
