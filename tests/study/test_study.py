"""A study ends in one table, whoever does its runs; what is finished is not done again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crosstile.cli import main
from crosstile.study import command, execute, work
from golden.training import plots
from spec.errors import InputError

FILE = """\
title = "Small"
seeds = 4
reference = { cell = "software" }
margin = 100
[run]
hidden = [4]
examples = 60
engine = "numpy"
set = { transfer_interval = 20 }
[[axis]]
name = "cell"
points = [{ label = "software", cell = "float", alone = true }, { label = "golden" }]
[[axis]]
name = "mismatch"
set = "up_down_mismatch"
values = [0, 0.1, 0.2]
"""
RUNS = 4 + 3 * 4
"""Software's are one a seed."""


@pytest.fixture
def small(tmp_path: Path, small_data: Path) -> Callable[..., list[str]]:
    """small(folder, options...) -> the words of the command."""
    (tmp_path / "small.toml").write_text(FILE)

    def words(folder: str, *more: object) -> list[str]:
        given = ("study", tmp_path / "small.toml", "--data-dir", f"mnist={small_data}")
        return [str(word) for word in (*given, "--out", tmp_path / folder, *more)]

    return words


def files(folder: Path) -> dict[str, Any]:
    """All that a study says, without what depends on the day."""
    result = json.loads((folder / "result.json").read_text())
    return {"table": (folder / "table.md").read_text(), "rows": result["rows"]}


def test_a_study_in_one_process(
    small: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "results.md"
    document.write_text("# Results\n")
    more = ("--scheduler", "none", "--report", document)
    assert main(small("one", *more)) == 0
    said = capsys.readouterr().out
    assert f"{RUNS}/{RUNS}  mnist pcm-3t1c seed 3: " in said
    assert f"{RUNS} runs, {RUNS} of them done now" in said
    found = files(tmp_path / "one")
    assert found["table"] in said
    assert len(found["rows"]) == 4
    software, *_, golden = found["rows"]
    assert "difference" not in software
    difference = golden["mean"] - software["mean"]
    assert golden["difference"] == pytest.approx(difference)
    assert (golden["equivalent"], golden["layers"]) == (True, [9, 4, 3])
    page = (tmp_path / "one" / "index.html").read_text()
    for digest in golden["digests"]:
        assert digest in page
    assert ("data:image/png;base64," in page) == plots.available() == (
        tmp_path / "one" / "plot.png"
    ).exists()  # fmt: skip

    # What is there is not done again, nor by another study that wants it.
    lost = sorted((tmp_path / "one" / "runs").iterdir())[3]
    lost.unlink()
    assert main(small("one", *more)) == 0
    assert f"{RUNS} runs, 1 of them done now" in capsys.readouterr().out
    assert files(tmp_path / "one") == found
    # The document has it once, with the command.
    text = document.read_text()
    assert text.startswith("# Results\n\n<!-- study small -->\n### Small\n")
    assert text.count(found["table"]) == 1
    assert "\n    crosstile study " in text
    assert "small.toml --data-dir mnist=" in text
    assert "--report" not in text


def test_one_process_a_cluster_and_a_scheduler_that_loses_a_worker_agree(
    small: Callable[..., list[str]], tmp_path: Path, scheduler: Scheduler
) -> None:
    assert main(small("one", "--scheduler", "none")) == 0
    expected = files(tmp_path / "one")
    assert main(small("cluster", "--workers", 2)) == 0
    assert files(tmp_path / "cluster") == expected

    runs = tmp_path / "outside" / "runs"

    def kill_one() -> None:
        while not runs.exists() or len(list(runs.iterdir())) < 3:
            time.sleep(0.01)
        scheduler.workers[0].send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    assert main(small("outside", "--scheduler", scheduler.address)) == 0
    killer.join()
    assert scheduler.workers[0].wait() == -signal.SIGKILL
    assert files(tmp_path / "outside") == expected


class Scheduler:
    """A scheduler and two workers in processes of their own."""

    def __init__(self, folder: Path) -> None:
        file = folder / "scheduler.json"
        at_file = ("--scheduler-file", str(file))
        options = ("--no-dashboard", *at_file)
        self.processes = [self._start("scheduler", "--port", "0", "--host", "127.0.0.1", *options)]
        end = time.monotonic() + 60
        while not file.exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        self.address = json.loads(file.read_text())["address"]
        self.workers = [
            self._start(
                "worker", "--no-nanny", "--nthreads", "1", "--name", str(number),
                "--local-directory", str(folder), *options,
            )
            for number in range(2)
        ]  # fmt: skip
        self.processes += self.workers

    def _start(self, kind: str, *options: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Scheduler]:
    pytest.importorskip("distributed", reason="needs the study extra: pip install '.[study]'")
    made = Scheduler(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def refused(
    small: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """refused(folder, options...) -> the one line of a command that ends with 2."""

    def run(*words: object) -> str:
        capsys.readouterr()
        assert main(small(*words)) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    return run


def test_wrong_options_are_one_line(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "--seeds 0: give 1 to 1000" in refused("out", "--seeds", 0)
    assert "--data-dir mnist: give name=value" in refused("out", "--data-dir", "mnist")
    assert "slots=5: " in refused("out", "--set", "slots=5")
    pytest.importorskip("distributed")
    monkeypatch.setattr(execute, "CONNECT_SECONDS", 0.3)
    line = refused("out", "--scheduler", "tcp://127.0.0.1:9")
    assert "no scheduler answers there" in line
    assert not (tmp_path / "out" / "result.json").exists()


def test_a_folder_of_something_else_stays_as_it_is(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "result.json").write_text('{"study": "other"}')
    assert "holds the result.json of something else" in refused("taken")
    assert (tmp_path / "taken" / "result.json").read_text() == '{"study": "other"}'


def test_without_dask_it_says_what_to_install(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'crosstile[study]', or give --scheduler none" in refused("out")


def test_a_full_disk_is_one_line_and_loses_nothing(
    small: Callable[..., list[str]],
    refused: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, written = command.write_json, []

    def fills(path: Path, content: dict[str, Any]) -> None:
        if len(written) == 5:
            raise InputError(f"{path}: cannot be written (No space left on device)")
        written.append(path)
        write(path, content)

    monkeypatch.setattr(command, "write_json", fills)
    assert "No space left on device" in refused("full", "--scheduler", "none")
    assert all(path.exists() for path in written)
    monkeypatch.undo()
    assert main(small("full", "--scheduler", "none")) == 0
    assert json.loads((tmp_path / "full" / "result.json").read_text())["run_now"] == RUNS - 5


def test_data_that_are_not_there_are_named_in_the_table(
    tmp_path: Path, small_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "two.toml").write_text(
        '[run]\nhidden = [4]\nexamples = 9\nengine = "numpy"\n[[axis]]\nname = "data set"\n'
        'points = [{ label = "here", dataset = "mnist" },'
        ' { label = "away", dataset = "fashion-mnist" }]\n'
    )
    out, away = tmp_path / "out", tmp_path / "nowhere"
    words = ["study", str(tmp_path / "two.toml"), "--seeds", "1", "--scheduler", "none"]
    words += ["--data-dir", f"mnist={small_data}", "--data-dir", f"fashion-mnist={away}"]
    assert main([*words, "--out", str(out)]) == 0
    here, left_out = files(out)["rows"]
    assert "mean" in here
    assert left_out["absent"] == f"{away}: not a folder; give the folder with " + (
        "train-images-idx3-ubyte.gz"
    )
    assert f"left out: {away}: not a folder" in (out / "table.md").read_text()
    assert f"left out: away: {away}: not a folder" in capsys.readouterr().out


def test_an_outcome_is_small_and_its_key_is_of_all_that_it_rests_on(small_data: Path) -> None:
    run = command.Run(
        data_dir=str(small_data), hidden=(4,), examples=9, engine="numpy", settings={"slots": "16"}
    )
    outcome = work.work(run.to_json())
    assert len(json.dumps(outcome)) < 2000
    _, data = work.data_of(run)
    assert outcome["key"] == work.key(run, data)
    moved = command.Run.from_json(run.to_json() | {"engine": "auto", "data_dir": None})
    assert work.key(moved, data) == outcome["key"]
    for other in ({"seed": 1}, {"settings": {}}, {"examples": 10}):
        assert work.key(command.Run.from_json(run.to_json() | other), data) != outcome["key"]
    assert work.key(run, "other data") != outcome["key"]


class Described:
    """A run of which all that is asked for is its description."""

    def __init__(self, number: int, asked: list[int]) -> None:
        self.number, self.asked = number, asked

    def to_json(self) -> int:
        self.asked.append(self.number)
        return self.number


def test_no_more_runs_are_on_their_way_than_keep_the_workers_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(execute, "work", lambda number: {"key": number})
    asked: list[int] = []
    runs: Any = [Described(number, asked) for number in range(20)]
    options = {"processes": False, "n_workers": 1, "threads_per_worker": 1}
    with distributed.Client(**options, dashboard_address="127.0.0.1:0") as client:
        spread = execute._spread(client, runs)
        first = next(spread)
        assert len(asked) <= execute.AHEAD + 1
        assert sorted(one["key"] for one in (first, *spread)) == list(range(20))
    assert asked == list(range(20))


def test_the_workers_of_this_machine_keep_no_record_that_grows_with_the_runs() -> None:
    pytest.importorskip("distributed")
    with execute._client(None, 1) as client:
        (told,) = client.run(_kept).values()
    assert told == [False, 10, 100]


def _kept() -> list[Any]:
    import dask.config

    names = (
        "worker.profile.enabled",
        "admin.system-monitor.log-length",
        "admin.low-level-log-length",
    )
    return [dask.config.get(f"distributed.{name}") for name in names]
