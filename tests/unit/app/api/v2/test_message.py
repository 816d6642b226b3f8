"""A request of the Open Inference Protocol: what is asked, and that nothing a client sends is a fault of ours."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.v2.contract import HEADER_BYTES, TensorContract
from app.api.v2.message import InferMessage, read_message
from app.errors import MalformedRequest

CONTRACT = TensorContract((2, 2, 2, 3), ["red", "green", "blue"], max_clips=3, max_body_bytes=10**6)
SHAPE = [2, 2, 2, 2, 3]
CLIPS = np.arange(48, dtype=np.uint8).reshape(SHAPE)
INPUT = {"name": "clips", "shape": SHAPE, "datatype": "UINT8"}


def read(body: bytes, header_bytes: int | None = None) -> InferMessage:
    return read_message(memoryview(body), header_bytes, CONTRACT)


def read_json(**changes: Any) -> InferMessage:
    """A request with its numbers in JSON, and ``changes``."""
    return read(json.dumps({"inputs": [INPUT | {"data": CLIPS.tolist()}]} | changes).encode())


def read_binary(data: bytes = CLIPS.tobytes(), size: object = 48, **changes: Any) -> InferMessage:
    header = json.dumps({"inputs": [INPUT | {"parameters": {"binary_data_size": size}}]} | changes).encode()
    return read(header + data, len(header))


def test_json_alone() -> None:
    message = read_json()
    np.testing.assert_array_equal(message.clips, CLIPS)
    assert (message.request_id, message.timeout_seconds, message.binary_output, message.classes) == (None, None, False, 0)


def test_json_and_binary_data() -> None:
    np.testing.assert_array_equal(read_binary().clips, CLIPS)


def test_binary_data_alone_is_one_clip_and_wants_a_binary_answer() -> None:
    message = read(CLIPS[:1].tobytes(), 0)
    np.testing.assert_array_equal(message.clips, CLIPS[:1])
    assert message.binary_output


def test_fields_may_stand_in_any_order_and_others_are_ignored() -> None:
    tensor = {"data": CLIPS.ravel().tolist(), "note": {"data": "}]"}} | INPUT
    body = {"outputs": None, "inputs": [tensor], "parameters": {"priority": 1, "custom": "x"}, "id": "4}2"}
    message = read(json.dumps(body, indent=1).encode())
    np.testing.assert_array_equal(message.clips, CLIPS)
    assert message.request_id == "4}2"


@pytest.mark.parametrize(
    ("request_wants", "output_wants", "is_binary"),
    [(None, None, False), (True, None, True), (True, False, False), (False, True, True), (None, True, True)],
)
def test_an_output_wins_over_its_request(request_wants: bool | None, output_wants: bool | None, is_binary: bool) -> None:
    message = read_json(
        parameters={"binary_data_output": request_wants},
        outputs=[{"name": "probabilities", "parameters": {"binary_data": output_wants}}],
    )
    assert message.binary_output is is_binary


@pytest.mark.parametrize(("asked", "classes"), [(0, 0), (2, 2), (3, 3), (10**30, 3)])
def test_no_more_classes_than_labels(asked: int, classes: int) -> None:
    assert read_json(outputs=[{"name": "probabilities", "parameters": {"classification": asked}}]).classes == classes


@pytest.mark.parametrize(("microseconds", "seconds"), [(None, None), (0, None), (1500, 0.0015), (2**63 - 1, 2**63 / 1e6)])
def test_a_timeout_is_in_microseconds(microseconds: int | None, seconds: float | None) -> None:
    assert read_json(parameters={"timeout": microseconds}).timeout_seconds == seconds


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 42},
        {"id": "\ud800"},
        {"inputs": None},
        {"inputs": {}},
        {"inputs": []},
        {"inputs": ["clips"]},
        {"inputs": [INPUT | {"data": CLIPS.tolist()}] * 2},
        {"inputs": [INPUT]},
        {"inputs": [INPUT | {"data": "0, 1"}]},
        {"inputs": [INPUT | {"data": ["0"]}]},
        {"inputs": [INPUT | {"data": [0.5] * 48}]},
        {"inputs": [INPUT | {"data": [256] * 48}]},
        {"inputs": [INPUT | {"data": [-1] * 48}]},
        {"inputs": [INPUT | {"data": [0] * 47}]},
        {"inputs": [INPUT | {"data": CLIPS.tolist(), "name": "pixels"}]},
        {"inputs": [INPUT | {"data": CLIPS.tolist(), "datatype": "FP32"}]},
        {"inputs": [INPUT | {"data": CLIPS.tolist(), "shape": "2"}]},
        {"inputs": [INPUT | {"data": CLIPS.tolist(), "shape": [2, 2, 2, 2, 3.0]}]},
        {"inputs": [INPUT | {"data": CLIPS.tolist(), "shape": [2, 2, 2, 2, True]}]},
        {"inputs": [INPUT | {"data": CLIPS.tolist(), "shape": [2, 2, 2, 6]}]},
        {"inputs": [INPUT | {"data": CLIPS.tolist(), "shape": [2, 2, 2, 3, 2]}]},
        {"inputs": [INPUT | {"data": [], "shape": [0, 2, 2, 2, 3]}]},
        {"inputs": [INPUT | {"data": CLIPS.tolist(), "shape": [-2, 2, 2, 2, 3]}]},
        {"inputs": [INPUT | {"data": CLIPS.tolist(), "shape": [2**64 + 2, 2, 2, 2, 3]}]},
        {"inputs": [INPUT | {"data": [0] * 96, "shape": [4, 2, 2, 2, 3]}]},
        {"inputs": [INPUT | {"data": CLIPS.tolist(), "parameters": {"binary_data_size": 0}}]},
        {"inputs": [INPUT | {"parameters": {"binary_data_size": 48}}]},
        {"inputs": [INPUT | {"parameters": {"shared_memory_region": "x", "shared_memory_byte_size": 48}}]},
        {"inputs": [INPUT | {"parameters": []}]},
        {"outputs": [{"name": "logits"}]},
        {"outputs": [{"name": "probabilities"}] * 2},
        {"outputs": ["probabilities"]},
        {"outputs": [{"name": "probabilities", "parameters": {"classification": -1}}]},
        {"outputs": [{"name": "probabilities", "parameters": {"classification": True}}]},
        {"outputs": [{"name": "probabilities", "parameters": {"binary_data": 1}}]},
        {"outputs": [{"name": "probabilities", "parameters": {"shared_memory_region": "x"}}]},
        {"parameters": {"timeout": -1}},
        {"parameters": {"timeout": 1.5}},
        {"parameters": {"timeout": 10**400}},
        {"parameters": {"timeout": "1"}},
        {"parameters": {"binary_data_output": "yes"}},
        {"parameters": [1]},
    ],
    ids=lambda changes: json.dumps(changes)[:90],
)
def test_a_request_that_does_not_fit_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedRequest):
        read_json(**changes)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b'"inputs"',
        b"{",
        b'{"inputs": [{"data": [1, 2',
        b'{"inputs": [{"data": [1, 2], }]}',
        b'{"inputs": [{"data": [1, 2]]}]}',
        b'{"id": NaN}',
        b'{"id": -Infinity}',
        b'{"id": ' + b"9" * 5000 + b"}",
        b'{"id": "\xff"}',
        b"\xef\xbb\xbf{}",
        b"\x00" * 100,
        b"[" * HEADER_BYTES,
        b'{"a":' * (HEADER_BYTES // 5),
        b'{"data":[' * (HEADER_BYTES // 9),
        b'{"data"' + b" " * HEADER_BYTES,
        b'{"id": "' + b"x" * HEADER_BYTES + b'"}',
    ],
    ids=lambda body: str(body[:30]),
)
def test_what_is_not_a_request_is_refused(body: bytes) -> None:
    for header_bytes in (None, len(body)):
        with pytest.raises(MalformedRequest):
            read(body, header_bytes)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"", 48),
        (CLIPS.tobytes()[:-1], 48),
        (CLIPS.tobytes() + b"x", 48),
        (CLIPS.tobytes(), 47),
        (CLIPS.tobytes(), None),
        (CLIPS.tobytes()[:-1], 47),
        (CLIPS.tobytes(), 10**30),
        (CLIPS.tobytes(), -48),
        (CLIPS.tobytes(), True),
        (CLIPS.tobytes(), "48"),
    ],
)
def test_binary_data_of_another_size_than_told_is_refused(data: bytes, size: object) -> None:
    with pytest.raises(MalformedRequest):
        read_binary(data, size)


@pytest.mark.parametrize("header_bytes", [1, 10, 10**17])
def test_a_length_that_is_not_the_length_of_the_json_is_refused(header_bytes: int) -> None:
    header = json.dumps({"inputs": [INPUT | {"parameters": {"binary_data_size": 48}}]}).encode()
    for length in (header_bytes, len(header) - 1, len(header) + 1):
        with pytest.raises(MalformedRequest):
            read(header + CLIPS.tobytes(), length)


def test_numbers_do_not_count_as_json_that_is_too_long() -> None:
    contract = TensorContract((2, 100, 100, 3), ["red"], max_clips=1, max_body_bytes=10**6)
    tensor = INPUT | {"shape": [1, 2, 100, 100, 3], "data": [255] * 60_000}
    body = json.dumps({"inputs": [tensor]}).encode()
    assert len(body) > HEADER_BYTES
    assert read_message(memoryview(body), None, contract).clips.sum() == 255 * 60_000


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(0, 300), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["inputs", "outputs", "data", "shape", "id", "parameters", "x"]), inner, max_size=4)
    ),
    max_leaves=10,
)


def survives(body: bytes, header_bytes: int | None) -> None:
    """It is a request, or it is refused."""
    with suppress(MalformedRequest):
        assert read(body, header_bytes).clips.shape[1:] == CONTRACT.clip_shape


@given(body=st.binary(max_size=200), header_bytes=st.none() | st.integers(0, 250))
def test_no_bytes_are_a_fault(body: bytes, header_bytes: int | None) -> None:
    survives(body, header_bytes)


@given(value=JSON_VALUES, field=st.sampled_from(["id", "parameters", "inputs", "outputs"]), inside=st.booleans())
def test_no_json_is_a_fault(value: Any, field: str, inside: bool) -> None:
    tensor = INPUT | {"data": CLIPS.tolist()}
    survives(
        json.dumps({"inputs": [tensor | value] if inside and isinstance(value, dict) else [tensor], field: value}).encode(),
        None,
    )


@given(position=st.integers(0, 400), junk=st.binary(min_size=1, max_size=3))
def test_no_damage_is_a_fault(position: int, junk: bytes) -> None:
    body = json.dumps({"inputs": [INPUT | {"data": CLIPS.ravel().tolist()}], "id": "x"}).encode()
    survives(body[:position] + junk + body[position + 1 :], None)
