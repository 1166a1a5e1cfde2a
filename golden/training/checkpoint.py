"""Checkpoints: one file that a run goes on from, bit for bit; whole or not there.

A line of JSON says format, version, length and SHA-256 of what follows: a line of JSON with the
run and its scalars, and the arrays, little-endian, one after the other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from golden.training.loop import Run, Snapshot
from spec.errors import InputError

FORMAT = "crosstile checkpoint"
VERSION = 2
NAME = "checkpoint.bin"
_HEADER_LIMIT_BYTES = 1000


def write_atomically(path: Path, data: bytes) -> None:
    """Put `data` in a file that is, at any moment, the old one or the new one in full.

    Raises InputError if the folder cannot be written or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); free space or give "
            "another folder"
        ) from None


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a power cut, where the system lets a folder be synced."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write(folder: Path, snapshot: Snapshot) -> None:
    """Write the checkpoint of a folder, in the place of the one before. Raises InputError."""
    arrays = {
        name: array.astype(array.dtype.newbyteorder("<")) for name, array in snapshot.arrays.items()
    }
    facts = {
        field.name: getattr(snapshot, field.name)
        for field in dataclasses.fields(snapshot)
        if field.name != "arrays"
    }
    facts["run"] = snapshot.run.to_json()
    facts["evaluations"] = list(snapshot.evaluations.items())
    facts["arrays"] = [[name, a.dtype.str, list(a.shape)] for name, a in arrays.items()]
    body = _line(facts) + b"".join(array.tobytes() for array in arrays.values())
    header = {
        "format": FORMAT,
        "version": VERSION,
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    write_atomically(folder / NAME, _line(header) + body)


def read(folder: Path) -> Snapshot:
    """The checkpoint of a folder.

    Raises InputError if it is missing, cut, altered, or of another version.
    """
    path = folder / NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no checkpoint there; give the --out folder of a run") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    head, _, body = data.partition(b"\n")
    header = _parsed(head) if len(head) < _HEADER_LIMIT_BYTES else {}
    if header.get("format") != FORMAT:
        raise InputError(f"{path}: not a checkpoint, or its head is damaged; train anew")
    if header.get("version") != VERSION:
        raise InputError(
            f"{path}: a checkpoint of version {header.get('version')}, this program reads "
            f"{VERSION}; go on with the crosstile that wrote it"
        )
    if len(body) != header.get("bytes"):
        raise InputError(
            f"{path}: cut, {len(body)} bytes where its head promises {header.get('bytes')}; "
            "train anew"
        )
    if hashlib.sha256(body).hexdigest() != header.get("sha256"):
        raise InputError(f"{path}: altered, it does not have its SHA-256; train anew")
    try:
        return _snapshot(body)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a checkpoint of this program; train anew") from None


def _snapshot(body: bytes) -> Snapshot:
    text, _, rest = body.partition(b"\n")
    facts = _parsed(text)
    arrays, place = {}, 0
    for name, kind, shape in facts["arrays"]:
        dtype, count = np.dtype(kind), math.prod(shape)
        little = np.frombuffer(rest, dtype, count, place).reshape(shape)
        arrays[name] = little.astype(dtype.newbyteorder("="))
        place += count * dtype.itemsize
    values = facts | {
        "run": Run.from_json(facts["run"]),
        "evaluations": {int(n): accuracy for n, accuracy in facts["evaluations"]},
        "arrays": arrays,
    }
    return Snapshot(**values)


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values).encode() + b"\n"


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
