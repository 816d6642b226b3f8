"""Tensors of the Open Inference Protocol: JSON text or raw bytes on the wire, numpy arrays here.

A clip of eight frames is 1.2 million numbers. The JSON parser holds the interpreter until it has read all of its text, so
that in a thread as well nothing else would run. Here the text is read in pieces, each of which takes about a millisecond:

    [[0, 17], [255, 3]]  --without digits-->   [[,],[,]]   must be the brackets and commas of the shape
                         --without brackets->  0, 17, 255, 3   each piece is JSON of its own
"""

import json
import struct
from collections.abc import Iterable, Iterator
from math import prod

import numpy as np
from numpy.typing import NDArray

from app.errors import MalformedRequest

PIECE_BYTES = 2**16
_DIGITS_AND_SPACE = b"0123456789 \t\r\n"
_BRACKETS_TO_SPACE = bytes.maketrans(b"[]", b"  ")


def uint8_from_json(text: memoryview, shape: tuple[int, ...], piece_bytes: int = PIECE_BYTES) -> NDArray[np.uint8]:
    """The JSON array ``text``, flat or nested as ``shape`` says: uint8, of that shape.

    Raises: MalformedRequest: it is not JSON, holds something else than whole numbers from 0 to 255, or not as many.
    """
    count = prod(shape)
    values, punctuation = bytearray(), []
    for piece in _pieces(text, piece_bytes):
        punctuation.append(piece.translate(None, _DIGITS_AND_SPACE))
        try:
            values += bytes(json.loads(b"[%b]" % piece.translate(_BRACKETS_TO_SPACE)))
        except (ValueError, TypeError):
            raise _not_numbers(count) from None
        if len(values) > count:
            raise _not_numbers(count)
    if len(values) != count or b",".join(punctuation) not in _allowed_punctuation(shape):
        raise _not_numbers(count)
    return np.frombuffer(values, np.uint8).reshape(shape)


def _pieces(text: memoryview, piece_bytes: int) -> Iterator[bytes]:
    """``text`` in parts of some ``piece_bytes``, without the commas between them."""
    start, size = 0, piece_bytes
    while start + size < len(text):
        piece = bytes(text[start : start + size])
        comma = piece.rfind(b",")
        if comma < 0:
            size *= 2
            continue
        yield piece[:comma]
        start, size = start + comma + 1, piece_bytes
    yield bytes(text[start:])


def _allowed_punctuation(shape: tuple[int, ...]) -> Iterator[bytes]:
    """The brackets and commas of an array of ``shape``, flat and nested. (2, 3) -> ``[,,,,,]``, ``[[,,],[,,]]``"""
    yield b"[" + b"," * (prod(shape) - 1) + b"]"
    nested = b""
    for length in reversed(shape):
        nested = b"[" + b",".join([nested] * length) + b"]"
    yield nested


def _not_numbers(count: int) -> MalformedRequest:
    return MalformedRequest(
        f"`data` must be an array of {count} whole numbers from 0 to 255, flat or nested as `shape` says; "
        "binary data is shorter and faster."
    )


def uint8_from_bytes(data: memoryview, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A view of ``data``, row by row: uint8, of ``shape``. Raises: MalformedRequest: it has another number of bytes."""
    if len(data) != prod(shape):
        raise MalformedRequest(f"The shape asks for {prod(shape)} bytes of binary data; the request has {len(data)}.")
    return np.frombuffer(data, np.uint8).reshape(shape)


def bytes_of_floats(values: NDArray[np.float32]) -> bytes:
    """FP32, little-endian, row by row."""
    return values.astype("<f4", copy=False).tobytes()


def bytes_of_texts(texts: Iterable[str]) -> bytes:
    """BYTES: each element as the number of its bytes (4, little-endian) and its UTF-8."""
    return b"".join(struct.pack("<I", len(encoded)) + encoded for encoded in (text.encode() for text in texts))


def classifications(probabilities: NDArray[np.float32], labels: list[str], count: int) -> list[list[str]]:
    """For each row of (clips, labels) the ``count`` most probable labels, at most all: ``probability:index:label``.

    [[0.25, 0.75]], ["cat", "dog"], 1   ->   [["0.750000:1:dog"]]

    Source: Triton's classification extension; six decimals are what its server prints.
    """
    ranks = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    return [
        [f"{row[index]:f}:{index}:{labels[index]}" for index in rank] for row, rank in zip(probabilities, ranks, strict=True)
    ]
