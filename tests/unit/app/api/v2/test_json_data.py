"""The numbers of a tensor and the JSON around them are parted where they meet, and together they are what was sent."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.v2.contract import HEADER_BYTES
from app.api.v2.json_data import parted
from app.errors import MalformedRequest

NUMBERS = st.recursive(st.lists(st.integers(0, 300), max_size=4), lambda inner: st.lists(inner, max_size=3), max_leaves=6)
TEXT = st.text(st.sampled_from('data"[]{},: \\9x'), max_size=10)


@given(numbers=NUMBERS, before=TEXT, after=TEXT, indent=st.sampled_from([None, 1]))
def test_together_they_are_what_was_sent(numbers: Any, before: str, after: str, indent: int | None) -> None:
    sent = {"id": before, "inputs": [{"a": [1, [2]], "data": numbers, "z": [3], "name": after}]}
    rest, data = parted(memoryview(json.dumps(sent, indent=indent).encode()))
    assert data is not None
    read = json.loads(rest)
    assert read["inputs"][0]["data"] == data.token
    read["inputs"][0]["data"] = json.loads(bytes(data.text))
    assert read == sent


def test_a_text_without_numbers_stays_whole() -> None:
    assert parted(memoryview(b'{"id": "data"}')) == (b'{"id": "data"}', None)


def test_every_text_has_a_token_of_its_own() -> None:
    datas = [parted(memoryview(b'{"data": [1]}'))[1] for _ in range(2)]
    assert datas[0] != datas[1]


def test_numbers_may_be_many_and_end_with_much_space() -> None:
    array = b"[" + b"1, " * 1_000_000 + b"1]"
    rest, data = parted(memoryview(b'{"data":' + array + b" " * 5000 + b"}"))
    assert data is not None
    assert data.text == array
    assert len(rest) < 5100


@pytest.mark.parametrize(
    "text",
    [
        b'{"data": [' + b"1, " * 1_000_000,
        b'{"data": ["1"]}',
        b'{"data": [1]' + b" " * (HEADER_BYTES + 1) + b"}",
        b'{"id": "' + b"x" * HEADER_BYTES + b'"}',
    ],
    ids=["no-end", "no-numbers", "long-end", "long"],
)
def test_what_has_no_end_or_is_too_long_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedRequest):
        parted(memoryview(text))
