"""A recorded run: its file, its replay at a tile, and its test bench in plain Verilog."""

from __future__ import annotations

import dataclasses
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("amaranth", reason="needs the hdl extra: pip install '.[hdl]'")

from cocotb_tests import build
from cocotb_tests.closed_loop import pins, plain_bench, session, trace
from cocotb_tests.closed_loop.lockstep import event_difference
from cocotb_tests.closed_loop.pins import RULES, Event
from cocotb_tests.closed_loop.trace import BLOCK, Order, Reader, Writer
from cocotb_tests.closed_loop.verilog import DAMAGE, DAMAGE_BITS
from crosstile.cli import main
from golden.training.config import configure, layer_specs
from golden.words import numbers_of, parts_of, pulsing
from spec.boundary import Pair
from spec.tile import TileSpec
from tests.closed_loop.damages import DAMAGES
from tests.closed_loop.test_closed_loop import HARD, LAYERS, model, run_of, texts

SETTINGS = {"transfer_interval": "12"}
DOCUMENT = Path(__file__).parents[2] / "docs" / "trace.md"

needs_simulator = pytest.mark.skipif(bool(build.missing()), reason=build.missing() or "is there")
needs_icarus = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="needs iverilog: apt-get install iverilog"
)


def specs_of(settings: dict[str, str]) -> list[TileSpec]:
    return layer_specs(configure("pcm-3t1c", settings), LAYERS)


def orders_of_every_event(settings: dict[str, str] = SETTINGS) -> list[Order]:
    """One order a tile, with all events; random arguments."""
    rng = np.random.default_rng(4)
    orders = []
    for tile, spec in enumerate(specs_of(settings)):
        rows, columns, repeats = spec.rows, spec.columns, 1 << spec.converters.read_average_log2

        def bits(count: int) -> Any:
            return rng.integers(0, 2, count) > 0

        def codes(*shape: int) -> Any:
            return rng.integers(-2048, 2048, shape)

        def words(*shape: int) -> Any:
            return rng.integers(0, 1 << 32, shape).astype(np.uint32)

        parts = parts_of(spec.update.slots)
        active, column_words = bits(columns), words(parts, columns)
        column_words[:, 0] = 0
        steps = np.where(active, rng.integers(0, 256, columns), 0)
        row_words = words(parts, rows)
        durations, signed = rng.integers(0, 256, rows), rng.integers(-127, 128, columns)
        charge = bits(columns) & pulsing(column_words)
        events = [
            Event("wait", {"duration_ns": 7 * spec.timing.cycle_ns}),
            Event("integrate_columns", {"durations": durations, "lower_swap": 1}),
            Event("integrate_rows", {"durations": signed, "row_lower_swap": bits(rows) + 0}),
            Event("update", {
                "row_words": row_words, "column_words": column_words, "charge": charge,
            }),
            Event("integrate_read", {"row": rows - 1, "pair": Pair.LOWER, "lower_swap": 0}),
            Event("precharge", {"row": 1}),
            Event("reset", {"row": 2, "active": active}),
            Event("set", {
                "row": 3, "active": active, "minus": bits(columns) & active, "step_codes": steps,
            }),
            Event("convert_forward", {"active": active}, codes(columns)),
            Event("convert_backward", {}, codes(rows)),
            Event("convert_read", {"active": active, "repeats": repeats}, codes(repeats, columns)),
        ]  # fmt: skip
        orders.append(Order(
            tile, f"order {tile}", [(0x3C, 0xFFFFFFFF), (4, tile)], [8, 12], (tile, b"abc"),
            True, True, 1234, events, [5, 1 << 31], b"\x00\x01\x00", True, 1 << 40,
        ))  # fmt: skip
    return orders


def written(
    path: Path,
    orders: list[Order],
    mismatch: dict[str, Any] | None = None,
    settings: dict[str, str] = SETTINGS,
) -> Path:
    writer = Writer(path, trace.describe("pcm-3t1c", settings, LAYERS))
    for order in orders:
        writer.add(order)
    writer.end(mismatch)
    return path


def plain(order: Order) -> dict[str, Any]:
    return {f.name: getattr(order, f.name) for f in dataclasses.fields(order) if f.name != "events"}


@pytest.mark.parametrize("slots", [8, 32, 128])
def test_a_meters_bits_are_words_and_back(slots: int) -> None:
    levels = np.random.default_rng(slots).integers(0, 2, (slots, 5)).astype(np.uint8)
    whole = [sum(int(bit) << slot for slot, bit in enumerate(line)) for line in levels.T]
    words = pins.words(levels.reshape(-1), 5)
    assert numbers_of(words) == whole
    assert plain_bench._slots(words, slots) == pins.word(levels.reshape(-1), 1)


@pytest.mark.parametrize("slots", ["8", "32", "128"])
def test_what_is_written_is_read(slots: str, tmp_path: Path) -> None:
    settings = SETTINGS | {"slots": slots}
    last = Order(0, "a write to ARM", [(8, 1)], answered=True)
    orders = [*orders_of_every_event(settings), last]
    reader = Reader(written(tmp_path / "trace.bin", orders, settings=settings))
    assert (reader.complete, reader.mismatch) == (True, None)
    assert reader.counts == {"orders": 3, "events": 22}
    assert reader.specs == specs_of(settings)
    read = list(reader.orders())
    assert [plain(order) | {"writes": [*order.writes], "reads": [*order.reads],
                            "values": [*order.values]} for order in orders] == [
        plain(order) for order in read
    ]  # fmt: skip
    for order, again in zip(orders, read, strict=True):
        for event, other in zip(order.events, again.events, strict=True):
            assert event_difference(event, other) is None
            assert np.array_equal(np.array(event.result), np.array(other.result))


def test_the_document_has_every_kind_and_every_size() -> None:
    text = DOCUMENT.read_text()
    for kind in trace.NAMES:
        assert f"| {kind.value} | {kind.name} |" in text
    assert f"first {plain_bench.ORDERS:,} orders" in text
    assert struct.calcsize("<HBBBBIQI") == sum([2, 1, 1, 1, 1, 4, 8, 4])
    assert len(trace.MAGIC) == 17
    assert f"| 17 | the byte 0x{trace.MAGIC[0]:x}, then `crosstile trace`" in text
    assert f"version, {trace.VERSION} |" in text


def test_the_player_knows_every_rule() -> None:
    player = next(path for path in plain_bench.SOURCES if path.name == "player.v").read_text()
    for rule, sentence in RULES.items():
        assert f'{rule.value}: $display("     {sentence}")' in player


def test_a_stopped_recording_has_what_was_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, orders = tmp_path / "trace.bin", orders_of_every_event()
    now = 0.0
    monkeypatch.setattr(trace.time, "monotonic", lambda: now)
    writer = Writer(path, trace.describe("pcm-3t1c", SETTINGS, LAYERS))
    for number in range(40):
        now += 2 * (number == 30)
        writer.add(dataclasses.replace(orders[0], cycle=number))
    reader = Reader(path)
    assert not reader.complete
    assert [order.cycle for order in reader.orders()] == list(range(30))
    # And what is in the middle of being written does no harm.
    path.write_bytes(path.read_bytes() + BLOCK.pack(b"DATA", 1000, 0) + b"some")
    assert len(list(Reader(path).orders())) == 30
    writer.end(None)


def test_a_mismatch_leaves_what_is_right(tmp_path: Path) -> None:
    order = orders_of_every_event()[0]
    order.result = np.array([5, 6, 7], "<i2").tobytes()
    place = {"row": None, "column": 1, "expected": -9, "got": 6}
    reader = Reader(written(tmp_path / "code", [order], {"what": "code", **place}))
    (read,) = reader.orders()
    assert np.frombuffer(read.right_result or b"", "<i2").tolist() == [5, -9, 7]
    assert reader.mismatch == {"what": "code", **place}

    order.answered = True
    reader = Reader(written(tmp_path / "event", [order], {"what": "event"}))
    (read,) = reader.orders()
    assert (read.right_result, read.right_values) == (None, [0, 0])


def test_a_file_that_is_no_whole_trace_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = written(tmp_path / "good", orders_of_every_event()).read_bytes()
    bad = tmp_path / "bad"

    def of(content: bytes, *more: str) -> str:
        bad.write_bytes(content)
        capsys.readouterr()
        assert main(["cosim", "--replay", str(bad), "--out", str(tmp_path / "out"), *more]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert not (tmp_path / "out").exists()
        return error

    start = len(trace.MAGIC) + 4
    assert "is no trace" in of(b"")
    assert "is no trace" in of(b"\x89PNG" + bytes(200))
    assert "is a trace of version 2" in of(good[: start - 4] + b"\x02" + good[start - 3 :])
    assert "ends before its head does" in of(good[: start + 20])
    head_end = start + BLOCK.size + BLOCK.unpack_from(good, start)[1]
    for cut in (head_end, head_end + 3, head_end + 30, len(good) - 1):
        assert "give --partial to replay what is there" in of(good[:cut])
    for place in range(start, len(good), max(1, len(good) // 60)):
        line = of(good[:place] + bytes([good[place] ^ 0x40]) + good[place + 1 :])
        # A length that is longer looks like a cut.
        says = "is damaged in its block at byte", "has no end", "ends before its head does"
        assert any(words in line for words in says)
    assert f"at byte {len(good)}" in of(good + b"more")
    other = good[start + BLOCK.size : head_end].replace(b'"spec_sha256": "', b'"spec_sha256": "0')
    check = zlib.crc32(b"HEAD" + struct.pack("<I", len(other)) + other)
    foreign = good[:start] + BLOCK.pack(b"HEAD", len(other), check) + other + good[head_end:]
    assert "this program makes other tiles" in of(foreign)
    assert "--examples: has no meaning with --replay" in of(good, "--examples", "3")
    assert main(["cosim", "--replay", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert "cannot be read (No such file" in capsys.readouterr().err
    assert main(["cosim", "--partial", "--out", str(tmp_path / "out")]) == 2


# -- with the tiles' Verilog ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Path]:
    """The model of `test_closed_loop`, its specs, the trace of a short run through it."""
    folder = tmp_path_factory.mktemp("recorded")
    run = run_of(small_data, 14)
    of, specs = model(run)
    description = trace.describe(run.cell, run.settings, LAYERS)
    file = folder / "trace.bin"
    (found,) = session.simulate(
        of, specs, run, folder, lambda _: None, record=str(file), description=description
    )
    assert found["mismatch"] is None
    return of, specs, file


@needs_simulator
@pytest.mark.slow
def test_a_replay_is_as_recorded(recorded: tuple[Any, Any, Path], tmp_path: Path) -> None:
    of, specs, file = recorded
    (found,) = session.replay(of, specs, file, tmp_path, lambda _: None)
    assert found["mismatch"] is None
    assert {name: found[name] for name in ("orders", "events")} == Reader(file).counts


@needs_simulator
@pytest.mark.slow
def test_a_replay_names_every_damage(recorded: tuple[Any, Any, Path], tmp_path: Path) -> None:
    of, specs, file = recorded
    numbers = tuple(range(1, len(DAMAGES) + 1))
    missed = []
    every = session.replay(of, specs, file, tmp_path, lambda _: None, numbers)
    for damage, found in zip(DAMAGES, every, strict=True):
        # A replay compares bytes and words, and does not know what they mean.
        says = {"code": "of the result", "COMMAND_ERROR": "a read of"}.get(damage.says, damage.says)
        what = found["mismatch"] and found["mismatch"]["what"]
        if what is None or says not in what:
            missed.append((damage.name, says, what))
    assert missed == [], "\n".join(map(str, missed))


@needs_simulator
@needs_icarus
@pytest.mark.slow
def test_icarus_plays_it_without_python(recorded: tuple[Any, Any, Path], tmp_path: Path) -> None:
    *_, file = recorded
    assert plain_bench.write(Reader(file), tmp_path, orders=80) == 80
    shells = texts(tuple(LAYERS), tuple(HARD.items()), "pcm-3t1c")

    def design(number: int) -> str:
        wire = f"wire [{DAMAGE_BITS - 1}:0] {DAMAGE}"
        fixed = shells.replace(f"input {wire};", f"{wire} = {number};")
        return fixed.replace(f", {DAMAGE});", ");")

    code, said = icarus(tmp_path, design(0))
    assert (code, said.splitlines()[-1]) == (0, "PASS 80 orders")
    for name, says in (
        ("another step", "step_codes of set: expected"),
        ("a column not worked", "active of reset, line 0: expected 1, got 0"),
        ("a select that moves", "a select or a swap moves within a phase"),
        ("a SET nobody asked for", "expected precharge, got set"),
    ):
        number = next(n for n, damage in enumerate(DAMAGES, 1) if damage.name == name)
        code, said = icarus(tmp_path, design(number))
        assert code == 1
        # All tiles play at once, and each has the damage: either may be the first.
        assert said.startswith(("FAIL tile 0, order ", "FAIL tile 1, order "))
        assert "(LOAD_of_row_0), event " in said
        assert says in said
        assert said.splitlines()[-1] == "FAIL"
    (tmp_path / "t1.hex").write_text((tmp_path / "t1.hex").read_text()[:-100])
    assert "the file ends" in icarus(tmp_path, design(0))[1]


def icarus(folder: Path, design: str) -> tuple[int, str]:
    """Exit code and words of the folder's test bench around a design."""
    (folder / "design.v").write_text(design)
    sources = [plain_bench.TEST_BENCH, plain_bench.BENCH, "design.v"]
    sources += [source.name for source in plain_bench.SOURCES]
    subprocess.run(["iverilog", "-g2005", "-o", "replay", *sources], cwd=folder, check=True)
    done = subprocess.run(["vvp", "replay"], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout


@needs_simulator
@pytest.mark.slow
def test_waves_are_of_the_last_operations(small_data: Path, tmp_path: Path) -> None:
    run = run_of(small_data, 14)
    of, specs = model(run)
    (found,) = session.simulate(of, specs, run, tmp_path, lambda _: None)
    begin = found["operations"] - 4
    (again,) = session.simulate(of, specs, run, tmp_path, lambda _: None, waves_from=begin)
    assert again["rtl_digest"] == found["rtl_digest"] == found["golden_digest"]
    file = tmp_path / f"waves.{build.wave_format()}"
    assert 1000 < file.stat().st_size < 5_000_000
    if shutil.which("fst2vcd") and file.suffix == ".fst":
        text = subprocess.run(["fst2vcd", file], capture_output=True, text=True, check=True).stdout
    elif file.suffix == ".vcd":
        text = file.read_text()
    else:
        pytest.skip("fst2vcd, which reads it, is not installed: apt-get install gtkwave")
    for name in ("aclk", "t0_macro_row_pulse", "t0_macro_request", "events"):
        assert f" {name} " in text
    assert "net_" not in text, "wires without a name"
    times = [int(line[1:]) for line in text.splitlines() if line[:1] == "#" and line[1:].isdigit()]
    cycles = max(times) / 10_000 - min(time for time in times if time) / 10_000
    assert 50 < cycles < found["cycles"] / 2
