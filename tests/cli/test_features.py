"""`crosstile features`, and `crosstile train` on what it makes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.training.datasets import cifar
from tests.cli.conftest import Outcome
from tests.cli.onnx_bytes import FLOAT, INT64, UINT8, Shape, model

TRAIN, TEST = 6, 10
"""Images of each training file, and of the test file."""

MEAN, STD = (0.5, 0.25, 0.0), (0.5, 0.25, 2.0)


def colours(file: int) -> np.ndarray:
    count = TEST if file == 5 else TRAIN
    return np.random.default_rng(file).integers(0, 256, (count, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CIFAR-10 of images of one colour each, which any resizing leaves as they are."""
    folder = tmp_path_factory.mktemp("cifar10")
    for file, name in enumerate([*cifar.FILES["cifar10"][0], "test_batch"]):
        colour = colours(file)
        labels = (np.arange(len(colour)) + 4 * file) % 10
        rows = np.hstack([labels[:, None], np.repeat(colour, 1024, axis=1)])
        (folder / f"{name}.bin").write_bytes(rows.astype(np.uint8).tobytes())
    return folder


def pooling(batch: int | str = "n", size: int | str = "s") -> bytes:
    """Gives the mean of each channel, and the same with its negative values cut."""
    return model(
        {"images": (batch, 3, size, size)},
        [("GlobalAveragePool", "images", "pooled"), ("Relu", "pooled", "cut")],
        {"pooled": (batch, 3, 1, 1), "cut": (batch, 3, 1, 1)},
    )


@pytest.fixture
def command(tmp_path: Path, images: Path) -> list[object]:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("PIL", reason="Pillow is not installed")
    (tmp_path / "model.onnx").write_bytes(pooling())
    return [
        "features", "--dataset", "cifar10", "--images", images, "--model", tmp_path / "model.onnx",
        "--out", tmp_path / "features.npz",
    ]  # fmt: skip


def normalised(colour: np.ndarray) -> np.ndarray:
    return (colour / 255 - np.array(MEAN)) / np.array(STD)


def written(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file}


USUAL = ["--mean", "0.5,0.25,0", "--std", "0.5,0.25,2"]


@pytest.mark.parametrize(
    ("network", "output", "size"),
    [
        (pooling(), None, 192),
        (pooling("n", 8), "pooled", 8),
        (pooling(4, 8), "cut", 8),  # four at a time, and 30 images
        (
            model({"x": ("n", 5, 5, 3)}, [("Identity", "x", "y")], {"y": ("n", 5, 5, 3)}),
            None,
            5,
        ),
    ],
)
def test_the_features_are_what_the_network_gives(
    crosstile, command, tmp_path, network, output, size
):
    (tmp_path / "model.onnx").write_bytes(network)
    more = [] if output is None else ["--output", output]
    outcome = crosstile(*command, *USUAL, *more)
    assert outcome.code == 0, outcome.error
    assert "40 images of cifar10" in outcome.out
    found = written(tmp_path / "features.npz")
    train = normalised(np.concatenate([colours(file) for file in range(5)]))
    for part, wanted in (("train", train), ("test", normalised(colours(5)))):
        wanted = np.maximum(wanted, 0) if output == "cut" else wanted
        wanted = np.tile(wanted, (1, found[f"x_{part}"].shape[1] // 3))
        # The runtime's float32 sums of up to 192 x 192 pixels are off by 3e-4.
        np.testing.assert_allclose(found[f"x_{part}"], wanted, rtol=0, atol=1e-3)
        assert found[f"x_{part}"].dtype == np.float32
    assert found["y_train"].tolist() == [(n + 4 * file) % 10 for file in range(5) for n in range(6)]
    metadata = json.loads(str(found["metadata"]))
    assert metadata["size"] == size
    assert metadata["model"] == "model.onnx"
    assert len(metadata["model_sha256"]) == 64
    assert (metadata["mean"], metadata["std"]) == (list(MEAN), list(STD))
    assert metadata["interpolation"] == "bilinear"
    assert "onnxruntime" in metadata["versions"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["features.npz", "model.onnx"]


def test_images_are_resized_between_their_pixels(crosstile, command, tmp_path, images):
    folder = tmp_path / "ramps"
    folder.mkdir()
    ramp = np.tile(np.arange(32) * 8, (96, 1)).ravel()
    rows = np.hstack([np.arange(10)[:, None], np.tile(ramp, (10, 1))]).astype(np.uint8)
    for path in images.iterdir():
        (folder / path.name).write_bytes(rows.tobytes())
    network = model({"x": ("n", 64, 64, 3)}, [("Identity", "x", "y")], {"y": ("n", 64, 64, 3)})
    (tmp_path / "model.onnx").write_bytes(network)
    command[4] = folder
    assert crosstile(*command, "--mean", "0,0,0", "--std", "1,1,1").code == 0
    pixels = written(tmp_path / "features.npz")["x_test"][0].reshape(64, 64, 3)[10, :, 1] * 255
    # Twice the width: pixel n lies at (n - 0.5) / 2 of the old ones, 8 apart.
    assert np.round(pixels[1:63]).tolist() == [4 * n - 2 for n in range(1, 63)]


def test_train_goes_on_with_the_file(crosstile, command, tmp_path):
    assert crosstile(*command).code == 0
    digests = set()
    for engine in ("numpy", "compiled"):
        out = tmp_path / engine
        outcome = crosstile(
            "train", "--dataset", "cifar10", "--data-dir", tmp_path / "features.npz",
            "--engine", engine, "--epochs", 2, "--set", "transfer_interval=20", "--out", out,
        )  # fmt: skip
        assert outcome.code == 0, outcome.error
        found = json.loads((out / "result.json").read_text())
        assert found["layers"] == [3, 10]
        assert found["synapses"] == 40
        assert found["run"]["hidden"] == []
        digests.add(found["state_digest"])
    assert len(digests) == 1
    hidden = crosstile(
        "train", "--dataset", "cifar10", "--data-dir", tmp_path, "--hidden", 4, "--examples", 5,
        "--engine", "numpy", "--out", tmp_path / "hidden",
    )  # fmt: skip
    assert hidden.code == 0
    assert "3-4-10" in hidden.out


def test_no_hidden_layer_by_name(crosstile, small_data, tmp_path):
    outcome = crosstile(
        "train", "--data-dir", small_data, "--hidden", "none", "--examples", 5, "--engine", "numpy",
        "--out", tmp_path,
    )  # fmt: skip
    assert outcome.code == 0, outcome.error
    assert json.loads((tmp_path / "result.json").read_text())["layers"] == [9, 3]


def refused(outcome: Outcome, word: str) -> bool:
    assert outcome.code == 2
    assert outcome.error.startswith("crosstile: ")
    assert outcome.error.count("\n") == 1
    assert word in outcome.error
    return True


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [
        ("--dataset", "mnist", "choose one of cifar10, cifar100"),
        ("--dataset", "cifar100", "train.bin: no such file"),
        ("--images", "absent", "absent: not a folder"),
        ("--model", "absent.onnx", "absent.onnx: no such file"),
        ("--output", "pooledd", "gives pooled, cut"),
        ("--size", "0", "give 1 to 1024"),
        ("--mean", "0,0", "three numbers"),
        ("--mean", "0,0,x", "three numbers"),
        ("--std", "1,0,1", "above 0"),
        ("--std", "1,nan,1", "three numbers"),
        ("--out", "features", "ends in .npz"),
    ],
)
def test_bad_options(crosstile, command, tmp_path, monkeypatch, option, value, word):
    monkeypatch.chdir(tmp_path)
    assert refused(crosstile(*command, option, value), word)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


IMAGES: dict[str, Shape] = {"x": ("n", 3, 8, 8)}


@pytest.mark.parametrize(
    ("network", "word"),
    [
        (b"", "not read as ONNX"),
        (b"garbage", "not read as ONNX"),
        (pooling()[:-30], "not read as ONNX"),
        (model(IMAGES, [("Nonsense", "x", "y")], {"y": ("n",)}), "not read as ONNX"),
        (model({"x": ("n", 192)}, [("Relu", "x", "y")], {"y": ("n", 192)}), "takes x tensor"),
        (model({"x": ("n", 1, 8, 8)}, [("Relu", "x", "y")], {"y": ("n", 1, 8, 8)}), "takes x"),
        (
            model(IMAGES, [("Identity", "x", "y")], {"y": IMAGES["x"]}, kind=UINT8),
            "tensor(uint8)",
        ),
        (
            model(IMAGES | {"z": ("n", 3, 8, 8)}, [("Relu", "x", "y")], {"y": IMAGES["x"]}),
            "with one float input",
        ),
        (model(IMAGES, [("Shape", "x", "y")], {"y": ()}), "not read as ONNX"),
        (model({"x": ("n", 3, 8, 9)}, [("Relu", "x", "y")], {"y": ("n", 3, 8, 9)}), "8 x 9"),
    ],
)
def test_a_bad_model(crosstile, command, tmp_path, network, word):
    (tmp_path / "model.onnx").write_bytes(network)
    assert refused(crosstile(*command), word)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_size_that_the_model_does_not_take(crosstile, command, tmp_path):
    (tmp_path / "model.onnx").write_bytes(pooling("n", 8))
    assert refused(crosstile(*command, "--size", 9), "takes 8; leave --size out")


@pytest.mark.parametrize(
    ("nodes", "word"),
    [
        ([("Transpose", "x", "y")], "gives (8, 8, 3, 2) for 2 images"),  # axes reversed
        ([("ReduceSum", "x", "y")], "gives (1, 1, 1, 1) for 2 images"),  # of all axes
        ([("Shape", "x", "y")], "gives no real numbers"),
    ],
)
def test_an_output_without_a_row_an_image(crosstile, command, tmp_path, nodes, word):
    kind = INT64 if nodes[0][0] == "Shape" else FLOAT
    network = model({"x": (2, 3, 8, 8)}, nodes, {"y": ()}, out_kind=kind)
    (tmp_path / "model.onnx").write_bytes(network)
    assert refused(crosstile(*command), word)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_model_that_does_not_run(crosstile, command, tmp_path):
    nodes = [("Transpose", "x", "t"), ("MatMul", "x t", "y")]  # of shapes that do not fit
    network = model({"x": ("n", 3, "s", "s")}, nodes, {"y": ()})
    (tmp_path / "model.onnx").write_bytes(network)
    assert refused(crosstile(*command, "--size", 4), "does not run")


def test_a_file_that_is_there_is_not_touched(crosstile, command, tmp_path):
    (tmp_path / "features.npz").write_bytes(b"mine")
    assert refused(crosstile(*command), "is there already")
    assert (tmp_path / "features.npz").read_bytes() == b"mine"


@pytest.mark.parametrize("package", ["onnxruntime", "PIL"])
def test_without_the_extra(crosstile, command, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    assert refused(crosstile(*command), "pip install 'crosstile[features]'")
