"""The numbers of a tensor apart from the JSON around them: the first are many and read in pieces, the rest is short.

{"inputs": [{"data": [0, 17, 255], "name": ...}]}   ->   {"inputs": [{"data": "<token>", "name": ...}]},   [0, 17, 255]
"""

import re
from dataclasses import dataclass
from secrets import token_hex

from app.api.v2.contract import HEADER_BYTES
from app.errors import MalformedRequest

_KEY = re.compile(rb'"data"\s*:\s*(?=\[)')
_END = re.compile(rb'["}]')
_WINDOW_BYTES = 2**20
"""Searched at once: the interpreter does nothing else meanwhile."""


@dataclass(frozen=True)
class JsonData:
    """An array of numbers, and what stands for it in the JSON around: nobody can have guessed that."""

    text: memoryview
    token: str


def parted(text: memoryview) -> tuple[bytes, JsonData | None]:
    """The JSON ``text`` without the array of its first ``data``, and that array, unread; None where there is none.

    The array ends with the last bracket before the next quote or brace: numbers have neither.

    Raises: MalformedRequest: the JSON is too long, the array apart, or the array has no end.
    """
    key = _KEY.search(bytes(text[:HEADER_BYTES]))
    if key is None:
        return _short(text), None
    start = key.end()
    end = _last_bracket(text, start, _end_of_numbers(text, start)) + 1
    data = JsonData(text[start:end], token_hex(16))
    return b'%b"%b"%b' % (bytes(text[:start]), data.token.encode(), _short(text[end:])), data


def _short(text: memoryview) -> bytes:
    if len(text) > HEADER_BYTES:
        raise MalformedRequest(f"The JSON of a request may have {HEADER_BYTES} bytes, the numbers in `data` apart.")
    return bytes(text)


def _end_of_numbers(text: memoryview, start: int) -> int:
    for window in range(start, len(text), _WINDOW_BYTES):
        if found := _END.search(text, window, window + _WINDOW_BYTES):
            return found.start()
    return len(text)


def _last_bracket(text: memoryview, start: int, end: int) -> int:
    for window in range(end, start, -_WINDOW_BYTES):
        first = max(start, window - _WINDOW_BYTES)
        found = bytes(text[first:window]).rfind(b"]")
        if found >= 0:
            return first + found
    raise MalformedRequest("`data` must be an array of whole numbers from 0 to 255.")
