"""A process of its own for each program, so that they share neither threads nor a crash.

All of them wait but the one that is told to run: the runs are interleaved.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.peers import FULL_COUNT, Peer

SINGLE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA", "TORCH")
}
_SPAWN = multiprocessing.get_context("spawn")


class Failed(Exception):
    """A program did not run; the text says what it raised, without paths."""


@dataclass(frozen=True)
class Sample:
    """A timed run. `cpu_seconds` count this process alone, `wall_seconds` its waiting too."""

    examples: int
    cpu_seconds: float
    wall_seconds: float

    @property
    def rate(self) -> float:
        """Examples per CPU-second."""
        return self.examples / self.cpu_seconds


@dataclass(frozen=True)
class Cold:
    """A fresh process that compiles, loads the data and trains the paper network."""

    start_cpu_seconds: float
    peak_bytes: int
    examples: int


class Worker:
    """A program that waits in a process of its own. Every call raises Failed if it cannot run."""

    def __init__(self, peer: Peer) -> None:
        """Start the process; the environment decides its number of threads."""
        self.peer = peer
        self._ours, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(peer, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def run(self, count: int) -> Sample:
        """Train the first `count` examples from the first weights on."""
        return self._ask("run", count)

    def digest(self, count: int) -> str:
        """The state's digest after `count` examples."""
        return self._ask("digest", count)

    def close(self) -> None:
        """End the process."""
        self._ours.close()
        self._process.join()

    def _ask(self, verb: str, count: int) -> Any:
        try:
            self._ours.send((verb, count))
            answer = self._ours.recv()
        except (EOFError, OSError):
            self._process.join()
            raise Failed(f"its process ended with {self._process.exitcode}") from None
        if isinstance(answer, Failed):
            raise answer
        return answer


def _serve(peer: Peer, pipe: Connection) -> None:
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            verb, count = pipe.recv()
            try:
                answer = peer.digest(count) if verb == "digest" else _timed(peer, count)
            except Exception as error:
                answer = Failed(f"{type(error).__name__} in {peer.module}")
            pipe.send(answer)


def _timed(peer: Peer, count: int) -> Sample:
    train = peer.prepare(count)
    wall, cpu = time.perf_counter(), time.process_time()
    train()
    return Sample(count, time.process_time() - cpu, time.perf_counter() - wall)


def cold() -> Cold:
    """Measure a first start: the compiler's cache is an empty folder."""
    ours, theirs = _SPAWN.Pipe()
    with tempfile.TemporaryDirectory() as cache:
        process = _SPAWN.Process(target=_train_cold, args=(cache, theirs), daemon=True)
        process.start()
        theirs.close()
        try:
            return ours.recv()
        except EOFError:
            raise Failed("the process that measures memory ended") from None
        finally:
            process.join()


def _train_cold(cache: str, pipe: Connection) -> None:
    os.environ["XDG_CACHE_HOME"] = cache
    from golden.training.loop import Run, Trainer  # after the cache is chosen

    trainer = Trainer(Run(epochs=1, examples=FULL_COUNT))
    started = time.process_time()
    while not trainer.done:
        trainer.advance()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send(Cold(started, peak * (1 if sys.platform == "darwin" else 1024), trainer.example))
