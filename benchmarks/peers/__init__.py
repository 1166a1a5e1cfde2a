"""The programs compared. A module has `prepare(count, ...)`, which returns what is timed.

`prepare` starts from the first weights again; calling its result trains `count` examples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec


@dataclass(frozen=True)
class Peer:
    """A row of the table. `count` examples are a timed run, a second or two of work.

    `needs` are the packages without which the row says "not installed", and then `before`: what
    an earlier measurement gave, one thread, batch 1, the same network, in examples per CPU-second.
    """

    key: str
    title: str
    module: str
    count: int
    options: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    before: str = ""

    @property
    def installed(self) -> bool:
        return all(find_spec(name) for name in self.needs)

    def prepare(self, count: int) -> Callable[[], None]:
        module = import_module(f"{__name__}.{self.module}")
        return module.prepare(count, **self.options)

    def digest(self, count: int) -> str:
        """The digest of the state after `count` examples; for the engines alone."""
        module = import_module(f"{__name__}.{self.module}")
        return module.digest(count, **self.options)


COMPILED, NUMPY, BY_HAND = "compiled", "numpy", "torch-by-hand"
AIHWKIT, AIHWKIT_TILE = "aihwkit-preset", "aihwkit-tile"
FULL_COUNT = 20_000

PEERS = (
    Peer(
        COMPILED,
        "crosstile, compiled engine",
        "golden",
        FULL_COUNT,
        {"cell": "pcm-3t1c", "engine": "compiled"},
    ),
    Peer(
        NUMPY,
        "crosstile, numpy engine",
        "golden",
        2000,
        {"cell": "pcm-3t1c", "engine": "numpy"},
    ),
    Peer(
        "numpy-float",
        "float in NumPy",
        "golden",
        10_000,
        {"cell": "float", "engine": "numpy"},
    ),
    Peer(
        "compiled-float",
        "float, compiled",
        "golden",
        FULL_COUNT,
        {"cell": "float", "engine": "compiled"},
    ),
    Peer(
        BY_HAND, "PyTorch by hand", "torch_by_hand", 10_000, needs=("torch",), before="9,200-14,300"
    ),
    Peer(
        "torch-autograd",
        "PyTorch autograd",
        "torch_autograd",
        4000,
        needs=("torch",),
        before="2,500-5,400",
    ),
    Peer(
        AIHWKIT,
        "aihwkit CapacitorPreset, PyTorch",
        "aihwkit_preset",
        1000,
        needs=("torch", "aihwkit"),
        before="480-850",
    ),
    Peer(
        AIHWKIT_TILE,
        "aihwkit CapacitorPreset, C++ tile",
        "aihwkit_tile",
        6000,
        needs=("torch", "aihwkit"),
        before="1,900",
    ),
)
