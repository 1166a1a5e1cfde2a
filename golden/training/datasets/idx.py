"""IDX files, the format of MNIST, read in full before a byte of them is used."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from golden.training.datasets.dataset import Uint8Array, by
from spec.errors import InputError

_IDX_TYPES = {
    0x08: "unsigned byte",
    0x09: "signed byte",
    0x0B: "short",
    0x0C: "int",
    0x0D: "float",
    0x0E: "double",
}
_IDX_CONTENT = {1: "labels", 3: "images"}
_IDX_LIMIT_BYTES = 1 << 31  # 2 GiB: four times the largest public set of this kind (EMNIST)
_CHUNK_BYTES = 1 << 20


def read_idx(path: Path, dimensions: int) -> Uint8Array:
    """Read an IDX file of unsigned bytes, gzip if its name ends in `.gz`, into a uint8 array.

    `dimensions` is 1 for labels, (N,), and 3 for images, (N, rows, columns). The file must hold
    what its header promises, to the byte; at most one byte more than that is ever read, in pieces,
    so a header that promises too much costs no memory.

    Raises `InputError` if the file is missing, unreadable, not gzip, corrupt, cut short, too long,
    not IDX, of another type or number of dimensions, empty, or larger than 2 GiB.
    """
    try:
        with path.open("rb") as plain:
            if path.suffix != ".gz":
                return _parse_idx(plain, path, dimensions)
            with gzip.open(plain, "rb") as unzipped:
                return _parse_idx(unzipped, path, dimensions)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: broken gzip data ({error}); fetch the file again") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; put it there or give another folder") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def _parse_idx(stream: BinaryIO | gzip.GzipFile, path: Path, dimensions: int) -> Uint8Array:
    wanted = _IDX_CONTENT[dimensions]
    magic = _read_up_to(stream, 4)
    if len(magic) < 4:
        raise InputError(f"{path}: cut short inside the IDX header; fetch the file again")
    if magic[:2] != b"\0\0":
        hint = "it is gzip: add .gz to its name" if magic[:2] == b"\x1f\x8b" else "fetch it again"
        raise InputError(f"{path}: not an IDX file, it starts with {magic.hex(' ')}; {hint}")
    type_code, found_dimensions = magic[2], magic[3]
    if type_code != 0x08:
        kind = _IDX_TYPES.get(type_code, "unknown")
        raise InputError(
            f"{path}: IDX type code 0x{type_code:02x} ({kind}); give unsigned bytes, 0x08"
        )
    if found_dimensions != dimensions:
        found = _IDX_CONTENT.get(found_dimensions)
        hint = f"it holds {found}: exchange the two files" if found else "fetch the right file"
        raise InputError(
            f"{path}: IDX data of {found_dimensions} dimensions where {wanted} have {dimensions}; "
            f"{hint}"
        )
    header = _read_up_to(stream, 4 * dimensions)
    if len(header) < 4 * dimensions:
        raise InputError(f"{path}: cut short inside the IDX header; fetch the file again")
    shape = tuple(int(size) for size in np.frombuffer(header, dtype=">u4"))
    promised = math.prod(shape)
    if promised == 0:
        raise InputError(f"{path}: holds no {wanted}, its header says {by(shape)}; give some")
    if promised > _IDX_LIMIT_BYTES:
        raise InputError(
            f"{path}: its header promises {by(shape)} = {promised} bytes, more than the limit of "
            f"{_IDX_LIMIT_BYTES}; the header is damaged, or split the data set"
        )
    data = _read_up_to(stream, promised + 1)
    if len(data) < promised:
        raise InputError(
            f"{path}: cut short, {len(data)} bytes of {wanted} where its header promises "
            f"{promised}; fetch the file again"
        )
    if len(data) > promised:
        raise InputError(
            f"{path}: bytes trail the {promised} that its header promises; fetch the file again"
        )
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _read_up_to(stream: BinaryIO | gzip.GzipFile, count: int) -> bytearray:
    """Read `count` bytes or to the end: memory follows what is there, not what is asked for."""
    data = bytearray()
    while len(data) < count and (piece := stream.read(min(_CHUNK_BYTES, count - len(data)))):
        data += piece
    return data
