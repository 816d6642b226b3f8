"""Tensors on the wire: what is read is what was written, and what JSON or the shape forbids is refused."""

import json
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from tritonclient.utils import deserialize_bytes_tensor

from app.api.v2.tensors import PIECE_BYTES, bytes_of_floats, bytes_of_texts, classifications, uint8_from_bytes, uint8_from_json
from app.errors import MalformedRequest

TENSORS = arrays.arrays(np.uint8, arrays.array_shapes(min_dims=1, max_dims=5, max_side=4))
PIECES = st.integers(1, 40)
"""So short that every tensor is read in several."""


@given(tensor=TENSORS, piece_bytes=PIECES, flat=st.booleans(), indent=st.sampled_from([None, 0, 2]))
def test_json_is_read_as_it_was_written(tensor: NDArray[np.uint8], piece_bytes: int, flat: bool, indent: int | None) -> None:
    text = json.dumps((tensor.ravel() if flat else tensor).tolist(), indent=indent).encode()
    np.testing.assert_array_equal(uint8_from_json(memoryview(text), tensor.shape, piece_bytes), tensor)


def test_a_text_of_many_pieces_is_read_whole() -> None:
    tensor = np.arange(3 * PIECE_BYTES, dtype=np.int64).astype(np.uint8).reshape(3, PIECE_BYTES)
    np.testing.assert_array_equal(uint8_from_json(memoryview(json.dumps(tensor.tolist()).encode()), tensor.shape), tensor)


def is_tensor(text: str, shape: tuple[int, ...]) -> bool:
    """What the standard's parser and numpy say."""
    try:
        tensor = np.array(json.loads(text), dtype=np.uint8)
    except (ValueError, OverflowError):
        return False
    return tensor.shape in {shape, (prod(shape),)}


SHAPES = st.sampled_from([(1,), (2,), (1, 1), (2, 1), (1, 2), (2, 2), (1, 1, 2)])
ALMOST = st.sampled_from(["[", "]", ",", " ", "\n", "0", "7", "25", "256", "[[", "]]", "],[", "01"])


@given(text=st.lists(ALMOST, max_size=12).map("".join), shape=SHAPES, piece_bytes=PIECES)
def test_exactly_the_arrays_of_the_shape_are_read(text: str, shape: tuple[int, ...], piece_bytes: int) -> None:
    if is_tensor(text, shape):
        np.testing.assert_array_equal(
            uint8_from_json(memoryview(text.encode()), shape, piece_bytes), np.array(json.loads(text), np.uint8).reshape(shape)
        )
    else:
        with pytest.raises(MalformedRequest):
            uint8_from_json(memoryview(text.encode()), shape, piece_bytes)


@given(tensor=TENSORS, piece_bytes=PIECES, data=st.data())
def test_a_text_that_was_changed_is_read_as_what_it_says_or_refused(
    tensor: NDArray[np.uint8], piece_bytes: int, data: st.DataObject
) -> None:
    text = json.dumps(tensor.tolist())
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 3)))
    changed = text[:start] + data.draw(ALMOST) + text[end:]
    try:
        read = uint8_from_json(memoryview(changed.encode()), tensor.shape, piece_bytes)
    except MalformedRequest:
        assert not is_tensor(changed, tensor.shape)
    else:
        np.testing.assert_array_equal(read.ravel(), np.array(json.loads(changed), np.uint8).ravel())


@pytest.mark.parametrize(
    "text",
    [
        "[1, -2]",
        "[1, 256]",
        "[1, 2.0]",
        "[1, 1e2]",
        "[1, true]",
        "[1, null]",
        "[1, NaN]",
        '[1, "2"]',
        "[1, {}]",
        "[1, [2]]",
        "[1]",
        "[1, 2, 3]",
        "[1, 2",
        "1, 2",
        "[1,, 2]",
        "[1, 2],",
        "[1 2]",
        "[]",
        "",
        "[1, " + "9" * 10_000 + "]",
        "[1, 2" + " " * 100_000,
        "[" * 100_000,
        "[1" + ", 2" * 100_000 + "]",
    ],
    ids=lambda text: text[:12],
)
def test_what_is_no_array_of_two_bytes_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequest, match="array of 2 whole numbers from 0 to 255"):
        uint8_from_json(memoryview(text.encode()), (2,))


@given(TENSORS)
def test_binary_data_is_a_view_in_row_order(tensor: NDArray[np.uint8]) -> None:
    data = tensor.tobytes()
    read = uint8_from_bytes(memoryview(data), tensor.shape)
    np.testing.assert_array_equal(read, tensor)
    assert not read.flags.owndata


@pytest.mark.parametrize("size", [0, 5, 7, 12])
def test_binary_data_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(MalformedRequest, match=f"asks for 6 bytes of binary data; the request has {size}"):
        uint8_from_bytes(memoryview(bytes(size)), (2, 3))


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 3))))
def test_floats_are_little_endian(values: NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(np.frombuffer(bytes_of_floats(values), "<f4").reshape(values.shape), values)


@given(st.lists(st.text(), max_size=5))
def test_texts_are_read_by_the_client(texts: list[str]) -> None:
    assert [element.decode() for element in deserialize_bytes_tensor(bytes_of_texts(texts))] == texts


def test_classifications_are_the_most_probable_first_and_equals_in_label_order() -> None:
    rows = np.array([[0.25, 0.5, 0.25], [0.1, 0.1, 0.8]], np.float32)
    assert classifications(rows, ["cat", "dog", "a:b"], 2) == [
        ["0.500000:1:dog", "0.250000:0:cat"],
        ["0.800000:2:a:b", "0.100000:0:cat"],
    ]
