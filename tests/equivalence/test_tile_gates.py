"""A tile's netlist of standard cells against golden, under the bench that its Verilog has."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("amaranth", reason="needs the hdl extra: pip install '.[hdl]'")

from cocotb_tests import build
from rtl import export
from rtl.top import Top, module_name
from synth import asic, equivalence, liberty
from synth.netlist import Netlist
from tests.equivalence import test_tile_verilator as bench
from tests.equivalence import tile_cases
from tests.synth import cell_models, damage
from tests.synth.block import needs_cells

NAME = "tiny"
TOP = module_name(tile_cases.SPECS[NAME])
TARGET = asic.TARGETS["osu018"]

pytestmark = [
    pytest.mark.skipif(bool(build.missing()), reason=build.missing() or "all is there"),
    needs_cells,
    pytest.mark.exhaustive,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tile, synthesized once."""
    made, spec = tmp_path_factory.mktemp("gates"), tile_cases.SPECS[NAME]
    (made / f"{TOP}.v").write_text(export.verilog(Top(spec), TOP, "the tile of the tests"))
    TARGET.synthesize(TOP, made)
    return made


def gates(folder: Path, netlist: str) -> build.Model:
    """A netlist with models of its cells, built."""
    text = netlist + cell_models.models(TARGET.library, folder)
    return build.build(text, TOP, bench.CACHE)


def test_scripts_with_soft_resets_in_transfers(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = gates(folder, (folder / asic.NETLIST).read_text())
    monkeypatch.setattr(bench, "model", lambda name: model)
    cut = [script for script in tile_cases.SCRIPTS if script.startswith("cut transfer")]
    assert cut, "a soft reset within a transfer"
    rest = [s for s in tile_cases.SCRIPTS if tile_cases.fits(s, tile_cases.SPECS[NAME])]
    bench.check(NAME, [(s, seed) for s in cut for seed in (1, 2, 3)], tmp_path)
    bench.check(NAME, [(s, 1 + n % 3) for n, s in enumerate(rest)], tmp_path)


def test_a_changed_gate_is_found_by_the_bench(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netlist = (folder / asic.NETLIST).read_text()
    graph = Netlist.read(folder / asic.GRAPH, TOP, liberty.read(TARGET.library))
    changed = damage.swapped(netlist, damage.gate_before(graph, "macro_row_pulse[1]"))
    model = gates(folder, changed)
    monkeypatch.setattr(bench, "model", lambda name: model)
    cases = [("training", 1), ("cut transfer", 1)]
    with pytest.raises((AssertionError, build.SimulationError)):
        bench.check(NAME, cases, tmp_path)


def test_the_netlist_is_proven_equal_to_the_verilog(folder: Path) -> None:
    verdict = equivalence.compare(asic.GENERIC, asic.NETLIST, TOP, TARGET.library, folder)
    assert verdict.unproven == ()
    assert verdict.points > 1000


def test_a_changed_gate_is_not_proven_equal(folder: Path, tmp_path: Path) -> None:
    graph = Netlist.read(folder / asic.GRAPH, TOP, liberty.read(TARGET.library))
    gate = damage.gate_before(graph, "macro_row_pulse[1]")
    changed = damage.swapped((folder / asic.NETLIST).read_text(), gate)
    (tmp_path / "changed.v").write_text(changed)
    (tmp_path / asic.GENERIC).write_bytes((folder / asic.GENERIC).read_bytes())
    verdict = equivalence.compare(asic.GENERIC, "changed.v", TOP, TARGET.library, tmp_path)
    assert verdict.unproven == ("macro_row_pulse[1]",)
