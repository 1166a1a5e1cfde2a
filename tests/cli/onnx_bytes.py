"""ONNX models of a few bytes, spelt in protobuf's wire format: no package needed to write them.

Source of the field numbers: onnx.proto3 of ONNX 1.x.
"""

from __future__ import annotations

from collections.abc import Sequence

FLOAT, UINT8, INT64 = 1, 2, 7
"""Types of an element."""
Shape = Sequence[int | str]


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _value(field: int, name: str, shape: Shape, kind: int) -> bytes:
    sizes = (
        _message(1, _text(2, size) if isinstance(size, str) else _number(1, size)) for size in shape
    )
    known = [_message(2, *sizes)] if shape else []
    tensor = _message(1, _number(1, kind), *known)
    return _message(field, _text(1, name), _message(2, tensor))


def model(
    inputs: dict[str, Shape],
    nodes: Sequence[tuple[str, str, str]],
    outputs: dict[str, Shape],
    kind: int = FLOAT,
    out_kind: int | None = None,
) -> bytes:
    """The bytes of a model. `nodes` are operation, inputs with spaces between, output.

    A value of shape () says no shape.
    """
    graph = [
        *(
            _message(1, *(_text(1, one) for one in came.split()), _text(2, went), _text(4, name))
            for name, came, went in nodes
        ),
        _text(2, "small"),
        *(_value(11, name, shape, kind) for name, shape in inputs.items()),
        *(_value(12, name, shape, out_kind or kind) for name, shape in outputs.items()),
    ]
    opset = _message(8, _number(2, 13))
    return _number(1, 8) + opset + _message(7, *graph)
