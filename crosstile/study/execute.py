"""Runs in one process, on a cluster of this machine's, or at a scheduler that is there already.

Dask does the last two: a run whose worker is lost is done again by another. No more runs are on
their way at a time than keep the workers busy, so that memory does not grow with their number.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from typing import Any

from crosstile.study.work import sources, work
from golden.training.loop import Run
from spec.errors import InputError

SERIAL = "none"
"""In place of a scheduler's address: in this process, one after the other."""
AHEAD = 2
"""Runs on their way for each worker."""
CONNECT_SECONDS = 10
LOST_WORKERS = 10
"""A run is given up when so many workers were lost over it."""
SETTINGS = {
    "distributed.scheduler.allowed-failures": LOST_WORKERS,
    # Dask keeps profiles and samples of an hour: a study's memory would grow for as long.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.log-length": 10,
    "distributed.admin.low-level-log-length": 100,
}


def outcomes(
    runs: list[Run], scheduler: str | None, workers: int | None
) -> Iterator[dict[str, Any]]:
    """The outcomes of runs, as they come. Raises InputError, and what a run raised."""
    if not runs:
        return
    if scheduler == SERIAL:
        yield from (work(run.to_json()) for run in runs)
        return
    if importlib.util.find_spec("distributed") is None:
        raise InputError(
            "study: Dask is not installed; pip install 'crosstile[study]', or give --scheduler none"
        )
    with _client(scheduler, workers) as client:
        yield from _spread(client, runs)


@contextlib.contextmanager
def _client(scheduler: str | None, workers: int | None) -> Iterator[Any]:
    import dask.config
    from distributed import Client, LocalCluster

    dask.config.set(SETTINGS)
    if scheduler is None:
        options: dict[str, Any] = {
            "n_workers": workers or os.cpu_count() or 1, "threads_per_worker": 1,
            "processes": True, "memory_limit": None, "dashboard_address": "127.0.0.1:0",
            "silence_logs": logging.CRITICAL,
        }  # fmt: skip
        with _ctrl_c_ignored():
            cluster = LocalCluster(**options)
        with cluster, Client(cluster) as client:
            yield client
        return
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"--scheduler {scheduler}: no scheduler answers there ({reason[:80]}); start one with "
            "`dask scheduler`, or leave it out"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError:
            raise InputError(
                f"--scheduler {scheduler}: it has no workers; start some with `dask worker`"
            ) from None
        theirs: Any = client.run(sources)
        if any(of != sources() for of in theirs.values()):
            raise InputError(
                f"--scheduler {scheduler}: a worker has another version of crosstile than this "
                "command; install the same everywhere"
            )
        yield client


@contextlib.contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """Processes that are started meanwhile ignore it for good: they end when this one does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _spread(client: Any, runs: list[Run]) -> Iterator[dict[str, Any]]:
    from distributed import KilledWorker, as_completed

    waiting = iter(runs)

    def submit(count: int) -> list[Any]:
        found = [run for _, run in zip(range(count), waiting, strict=False)]
        return [client.submit(work, run.to_json(), pure=False) for run in found]

    threads = sum(client.nthreads().values()) or 1
    done = as_completed(submit(AHEAD * threads))
    for future in done:
        try:
            outcome = future.result()
        except KilledWorker:
            raise InputError(
                f"a run was lost with {LOST_WORKERS} workers, one after the other; see their logs. "
                "The same command goes on with what is finished"
            ) from None
        except (CancelledError, OSError):
            raise InputError(
                "the scheduler was lost; the same command goes on with what is finished"
            ) from None
        future.release()
        yield outcome
        for more in submit(1):
            done.add(more)
