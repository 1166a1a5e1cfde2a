"""`crosstile train` as its users and other programs meet it: files, exit codes, one line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crosstile.cli import main
from golden.training import checkpoint, plots
from golden.training.config import Config
from golden.training.loop import Run, Trainer
from spec.parameter import leaves
from tests.cli.conftest import Outcome

RESULT_KEYS = {
    "dataset", "cell", "seed", "epochs", "layers", "synapses", "test_accuracy",
    "final_test_accuracy", "examples_per_second", "transfers", "state_digest", "engine", "config",
    "versions", "counters", "training_seconds",
}  # fmt: skip


def small(data: Path, *more: object, engine: str = "numpy") -> list[str]:
    start = ["train", "--data-dir", data, "--hidden", 4, "--engine", engine]
    return [str(word) for word in (*start, "--set", "transfer_interval=40", *more)]


def result_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


def digest_at(small_data: Path, example: int) -> str:
    """The digest of the run of `small` never stopped, after so many examples."""
    run = Run(
        hidden=(4,),
        engine="numpy",
        data_dir=str(small_data),
        settings={"transfer_interval": "40"},
        examples=example,
    )
    trainer = Trainer(run)
    while not trainer.done:
        trainer.advance()
    return trainer.digest()


# -- a run -------------------------------------------------------------------------------------


def test_a_run_leaves_its_result(crosstile, small_data, tmp_path):
    out = tmp_path / "deep" / "out"
    code, printed, error = crosstile(*small(small_data, "--epochs", 2, "--out", out))
    assert (code, error) == (0, "")
    result = result_of(out)
    assert result.keys() >= RESULT_KEYS
    assert result["layers"] == [9, 4, 3]
    assert result["synapses"] == 10 * 4 + 5 * 3
    assert result["epochs"] == len(result["test_accuracy"]) == 2
    assert result["final_test_accuracy"] == result["test_accuracy"][-1]
    assert result["transfers"] == 300 // 40
    assert result["counters"]["rows"] == (1 + 300 // 40) * 15
    assert result["engine"] == "numpy"
    assert result["config"]["tile"]["transfer"]["transfer_interval"] == 40
    assert result["state_digest"] in printed
    assert max(map(len, printed.splitlines())) <= 80
    files = {file.name for file in out.iterdir()}
    pictures = set(plots.NAMES) if plots.available() else set()
    assert files == {"result.json", "checkpoint.bin"} | pictures


def test_pictures_are_pictures(crosstile, small_data, tmp_path):
    pytest.importorskip("matplotlib")
    assert crosstile(*small(small_data, "--examples", 20, "--out", tmp_path)).code == 0
    for name in plots.NAMES:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_there_is_a_note(crosstile, small_data, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "available", lambda: False)
    code, printed, _ = crosstile(*small(small_data, "--examples", 20, "--out", tmp_path))
    assert code == 0
    assert "crosstile[plots]" in printed
    assert {file.name for file in tmp_path.iterdir()} == {"result.json", "checkpoint.bin"}


def test_without_out_each_run_gets_a_folder(crosstile, small_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        assert crosstile(*small(small_data, "--examples", 5)).code == 0
        assert result_of(tmp_path / "runs" / f"train-{number}")["examples"] == 5


def test_polarity_inversion_is_an_option(crosstile, small_data, tmp_path):
    flag, key = tmp_path / "flag", tmp_path / "key"
    more = ["--examples", 90]
    crosstile(*small(small_data, *more, "--no-polarity-inversion", "--out", flag))
    crosstile(*small(small_data, *more, "--set", "polarity_inversion=false", "--out", key))
    assert result_of(flag)["config"]["tile"]["transfer"]["polarity_inversion"] is False
    assert result_of(flag)["state_digest"] == result_of(key)["state_digest"]
    assert result_of(flag)["state_digest"] != digest_at(small_data, 90)


def test_what_harms_accuracy_is_said_and_allowed(crosstile, small_data, tmp_path):
    more = ["--examples", 30, "--set", "leak_tau_ns=1000"]
    ended = crosstile(
        *small(
            small_data, *more, "--set", "read_bits=7", "--set", "trim_limit=0", "--out", tmp_path
        )
    )
    assert ended.code == 0
    assert [line.split("=")[0] for line in ended.error.splitlines()] == [
        "warning: leak_tau_ns",
        "warning: read_bits",
    ]


def test_hold_out_tests_on_training_examples(crosstile, small_data, tmp_path):
    more = ["--hold-out", 30, "--epochs", 1, "--out", tmp_path]
    assert crosstile(*small(small_data, *more)).code == 0
    result = result_of(tmp_path)
    assert (result["hold_out"], result["examples"]) == (30, 150 - 30)


def test_help_set_lists_every_parameter_in_80_columns(crosstile):
    code, printed, _ = crosstile("train", "--help-set")
    assert code == 0
    names = {path.split(".")[-1] for path in leaves(Config())} - {"rows", "columns"}
    assert names <= {line.split()[0] for line in printed.splitlines() if line}
    assert max(map(len, printed.splitlines())) <= 80


@pytest.mark.parametrize("command", [[], ["train"], ["demo"]])
def test_help_has_an_example(crosstile, command):
    code, printed, _ = crosstile(*command, "--help")
    assert code == 0
    assert not command or "Example" in printed


# -- going on ----------------------------------------------------------------------------------


def test_resume_adds_examples_bit_for_bit(crosstile, small_data, tmp_path):
    assert crosstile(*small(small_data, "--examples", 70, "--out", tmp_path)).code == 0
    assert crosstile("train", "--resume", tmp_path, "--examples", 130).code == 0
    result = result_of(tmp_path)
    assert result["examples"] == 130
    assert result["state_digest"] == digest_at(small_data, 130)


def test_a_finished_run_resumes_to_itself(crosstile, small_data, tmp_path):
    crosstile(*small(small_data, "--examples", 30, "--out", tmp_path))
    before = result_of(tmp_path)
    assert crosstile("train", "--resume", tmp_path).code == 0
    assert result_of(tmp_path) == before


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """start(arguments...): a crosstile of its own; killed and waited for at the end."""
    with contextlib.ExitStack() as stack:

        def process(*arguments: object) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "crosstile", *map(str, arguments)]
            pipe = subprocess.PIPE
            started = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
            stack.enter_context(started)
            stack.callback(started.kill)
            return started

        yield process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint(crosstile, start, small_data, tmp_path, number):
    more = ["--epochs", 30, "--evaluate-every", 10, "--out", tmp_path]
    process = start(*small(small_data, *more))
    assert process.stdout is not None
    assert process.stdout.readline().startswith("epoch 1")
    process.send_signal(number)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert one_line(error)
    assert f"--resume {tmp_path}" in error
    assert not (tmp_path / "result.json").exists()
    end = checkpoint.read(tmp_path).example + 30
    assert crosstile("train", "--resume", tmp_path, "--examples", end).code == 0
    assert result_of(tmp_path)["state_digest"] == digest_at(small_data, end)


def test_a_killed_run_goes_on_from_its_last_checkpoint(crosstile, start, small_data, tmp_path):
    process = start(*small(small_data, "--epochs", 30, "--out", tmp_path))
    path, reached = tmp_path / checkpoint.NAME, 0
    for delay_s in (0.0, 0.013, 0.1):
        # Wait for a checkpoint of this process, then kill it wherever it is.
        deadline = time.monotonic() + 120
        while not path.exists() or checkpoint.read(tmp_path).example <= reached:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(delay_s)
        process.kill()
        process.wait()
        reached = checkpoint.read(tmp_path).example
        assert reached % 150 == 0
        process = start("train", "--resume", tmp_path)
    process.kill()
    process.wait()
    end = checkpoint.read(tmp_path).example + 30
    assert crosstile("train", "--resume", tmp_path, "--examples", end).code == 0
    assert result_of(tmp_path)["state_digest"] == digest_at(small_data, end)


# -- bad input -----------------------------------------------------------------------------------


def one_line(error: str) -> bool:
    return error.startswith("crosstile: ") and error.endswith("\n") and error.count("\n") == 1


def refused(outcome: Outcome, *words: str) -> bool:
    assert outcome.code == 2
    assert one_line(outcome.error), outcome.error
    for word in words:
        assert word in outcome.error
    return True


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--set", "leak=3"], "unknown parameter"),
        (["--set", "nonsense=3"], "--help-set"),
        (["--set", "slots=129"], "slots=129"),
        (["--set", "slots=12"], "power of two"),
        (["--set", "slots=many"], "whole number"),
        (["--set", "slots"], "key=value"),
        (["--set", "step=nan"], "step"),
        (["--set", "rows=3"], "--hidden"),
        (["--set", "slots=8", "--set", "slots=16"], "twice"),
        (["--set", "polarity_inversion=true", "--polarity-inversion"], "once"),
        (["--set", "learning_rate=1"], "lower it"),
        (["--cell", "flash"], "pcm-3t1c"),
        (["--engine", "gpu"], "compiled"),
        (["--dataset", "imagenet"], "mnist"),
        (["--dataset", "cifar10"], "features.npz"),
        (["--dataset", "cifar100"], "features.npz"),
        (["--dataset", "mnist-pairs"], "leave it out"),
        (["--seed", "-1"], "4294967295"),
        (["--seed", "4294967296"], "4294967295"),
        (["--seed", "one"], "--seed"),
        (["--epochs", "0"], "--epochs"),
        (["--examples", "0"], "--examples"),
        (["--examples", "151", "--epochs", "1"], "raise --epochs"),
        (["--hidden", "4,x"], "250,125, or none"),
        (["--hidden", ""], "250,125, or none"),
        (["--hidden", "0"], "--hidden"),
        (["--hidden", "3000"], "2048"),
        (["--hold-out", "150"], "hold out"),
        (["--data-dir", "nowhere"], "nowhere"),
        (["--colour"], "--colour"),
        (["surplus"], "surplus"),
    ],
)
def test_bad_options(crosstile, small_data, tmp_path, arguments, word):
    out = tmp_path / "out"
    assert refused(crosstile(*small(small_data), "--out", out, *arguments), word)
    assert not out.exists() or not list(out.iterdir())


def test_an_unknown_command(crosstile):
    assert refused(crosstile("trane"), "trane")


@pytest.mark.parametrize("taken", ["result.json", "checkpoint.bin"])
def test_another_runs_folder_is_not_touched(crosstile, small_data, tmp_path, taken):
    (tmp_path / taken).write_text("precious")
    outcome = crosstile(*small(small_data, "--out", tmp_path))
    assert refused(outcome, "another folder", "--resume")
    assert [(f.name, f.read_text()) for f in tmp_path.iterdir()] == [(taken, "precious")]


def test_an_unwritable_folder(crosstile, small_data, tmp_path):
    # Below a file, as a test may run as root, who may write to any folder.
    (tmp_path / "file").write_text("precious")
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        assert refused(crosstile(*small(small_data, "--out", out)), "give another folder")
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_without_permission(crosstile, small_data, tmp_path):
    tmp_path.chmod(0o500)
    assert refused(crosstile(*small(small_data, "--out", tmp_path / "out")), "another folder")


def cut(folder: Path) -> None:
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-5])


def swap(folder: Path) -> None:
    images, labels = (folder / f"train-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1"))
    one, other = images.read_bytes(), labels.read_bytes()
    images.write_bytes(other)
    labels.write_bytes(one)


def empty_class(folder: Path) -> None:
    path = folder / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes().replace(b"\1", b"\2"))


@pytest.mark.parametrize(
    ("damage", "word"), [(cut, "cut short"), (swap, "exchange"), (empty_class, "class")]
)
def test_damaged_data(crosstile, write_data, tmp_path, damage, word):
    data = tmp_path / "data"
    data.mkdir()
    damage(write_data(data))
    out = tmp_path / "out"
    assert refused(crosstile(*small(data, "--out", out)), word)
    assert not out.exists()


@pytest.fixture(scope="module")
def stopped(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of 20 examples; copy what is changed."""
    folder = tmp_path_factory.mktemp("stopped")
    assert main(small(small_data, "--examples", 20, "--out", folder)) == 0
    return folder


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda data: data[: len(data) // 2], "cut"),
        (lambda data: data[:3000] + bytes([data[3000] ^ 1]) + data[3001:], "altered"),
        (lambda data: data.replace(b'"version": 2', b'"version": 1', 1), "version 1"),
        (lambda data: b"PK" + data[2:], "not a checkpoint"),
        (lambda data: b"", "not a checkpoint"),
    ],
)
def test_a_damaged_checkpoint(crosstile, stopped, tmp_path, damage, word):
    data = damage((stopped / checkpoint.NAME).read_bytes())
    (tmp_path / checkpoint.NAME).write_bytes(data)
    assert refused(crosstile("train", "--resume", tmp_path), word)
    assert (tmp_path / checkpoint.NAME).read_bytes() == data
    assert [file.name for file in tmp_path.iterdir()] == [checkpoint.NAME]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--set", "transfer_interval=50"], "transfer_interval 40 there and 50 here"),
        (["--cell", "ideal"], "another spec"),
        (["--hidden", "5"], "hidden 4 there and 5 here"),
        (["--seed", "7"], "seed 0 there and 7 here"),
        (["--hold-out", "5"], "not the data"),
        (["--examples", "19"], "raise --examples"),
        (["--out", "elsewhere"], "leave --out out"),
    ],
)
def test_a_checkpoint_of_another_spec(crosstile, stopped, arguments, word):
    before = {file.name: file.read_bytes() for file in stopped.iterdir()}
    assert refused(crosstile("train", "--resume", stopped, *arguments), word)
    assert {file.name: file.read_bytes() for file in stopped.iterdir()} == before


def test_no_checkpoint(crosstile, tmp_path):
    assert refused(crosstile("train", "--resume", tmp_path / "none"), "no checkpoint there")
