"""Packets of bytes as beats of an AXI4-Stream, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Beat:
    """What goes over the pins at once: bytes, the first one lowest, and a bit of `keep` for each.

    A byte that is not kept is no part of the packet.
    """

    data: bytes
    keep: int
    last: bool
    destination: int


def packet_beats(packet: bytes, destination: int, axis_bytes: int) -> list[Beat]:
    """A packet's beats: all full but the last one. A packet without bytes is one empty beat."""
    beats = []
    for first in range(0, max(1, len(packet)), axis_bytes):
        part = packet[first : first + axis_bytes]
        last = first + axis_bytes >= len(packet)
        data = part.ljust(axis_bytes, b"\0")
        beats.append(Beat(data, (1 << len(part)) - 1, last, destination))
    return beats


def packet_bytes(beats: Sequence[Beat]) -> bytes | None:
    """A packet of beats; None where a byte is left out before the end."""
    packet = b""
    for beat in beats:
        kept = beat.keep.bit_length()
        if beat.keep != (1 << kept) - 1 or (kept < len(beat.data) and not beat.last):
            return None
        packet += beat.data[:kept]
    return packet
