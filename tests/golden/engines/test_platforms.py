"""The digest does not depend on the processor's extensions, the BLAS kernel or the threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

RUN = """
import json, sys
import numpy as np
from golden.engines.compiled_engine import CompiledEngine
from golden.engines.numpy_engine import NumpyEngine
from golden.training.config import configure
from golden.training.network import Network, initial_weights

kind = {"numpy": NumpyEngine, "compiled": CompiledEngine}[sys.argv[1]]
layers, rng = [90, 33, 10], np.random.default_rng(0)
images = (rng.integers(0, 256, (80, 90)) * (rng.random((80, 90)) < 0.5)).astype(np.uint8)
labels = rng.integers(0, 10, 80).astype(np.uint8)
config = configure("pcm-3t1c", {"cycle_to_cycle": "0.2", "leak_tick_ns": "1000"})
network = Network(config, layers, 7)
engine = kind(network)
engine.load(initial_weights(config, layers, 7))
network.set_epoch(0)
engine.train(images[:40], labels[:40])
for tile in range(2):
    engine.transfer(tile, 0, 20)
engine.align_clocks()
engine.train(images[40:], labels[40:])
correct = engine.evaluate(images, labels)
engine.synchronise()
core = np._core._multiarray_umath
result = {
    "digest": network.digest(),
    "correct": correct,
    "features": [name for name in core.__cpu_dispatch__ if core.__cpu_features__.get(name)],
}
if sys.argv[1] == "compiled":
    import numba
    result["target"] = numba.config.CPU_NAME
print(json.dumps(result))
"""

PLAIN = {"OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
CHANGED = ("NPY_DISABLE_CPU_FEATURES", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "OPENBLAS_CORETYPE")


def start(engine: str, **variables: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if k not in CHANGED}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [sys.executable, "-c", RUN, engine],
        env=environment | PLAIN | {"PYTHONPATH": path} | variables,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[str]) -> dict[str, object]:
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    return json.loads(output.splitlines()[-1])


@pytest.fixture(scope="module")
def reference() -> dict[str, object]:
    """The numpy engine with all that this processor has."""
    return finish(start("numpy"))


@pytest.mark.slow
def test_numpy_without_extensions_on_another_blas_and_two_threads(
    reference: dict[str, object],
) -> None:
    features = reference["features"]
    assert isinstance(features, list)
    other = finish(
        start(
            "numpy",
            NPY_DISABLE_CPU_FEATURES=" ".join(features),
            OPENBLAS_CORETYPE="Nehalem",
            OPENBLAS_NUM_THREADS="2",
        )
    )
    assert other["features"] == []
    assert (other["digest"], other["correct"]) == (reference["digest"], reference["correct"])


@pytest.mark.slow
def test_compiled_for_this_processor_and_for_any_with_other_threads(
    reference: dict[str, object],
) -> None:
    runs = [
        start("compiled", NUMBA_NUM_THREADS="2", OPENBLAS_NUM_THREADS="2"),
        start("compiled", NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES=""),
    ]
    native, generic = (finish(run) for run in runs)
    assert generic["target"] == "generic"
    wanted = reference["digest"], reference["correct"]
    assert (native["digest"], native["correct"]) == wanted
    assert (generic["digest"], generic["correct"]) == wanted
