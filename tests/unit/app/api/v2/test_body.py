"""Compressed bodies: they become what was compressed, in pieces that others can wait for, and never more than is allowed."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.v2.body import inflated
from app.errors import MalformedRequest, UploadTooLarge

COMPRESS = {"gzip": gzip.compress, "deflate": zlib.compress}
MUCH = 10**9


def inflate(body: bytes, encoding: str, chunk_bytes: int = 2**16, max_bytes: int = MUCH) -> list[bytes]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), chunk_bytes):
            yield body[start : start + chunk_bytes]

    async def pieces() -> list[bytes]:
        return [piece async for piece in inflated(chunks(), encoding, max_bytes)]

    return asyncio.run(pieces())


@pytest.mark.parametrize("encoding", COMPRESS)
@given(body=st.binary(max_size=300), chunk_bytes=st.integers(1, 50))
def test_what_was_compressed_comes_back(encoding: str, body: bytes, chunk_bytes: int) -> None:
    assert b"".join(inflate(COMPRESS[encoding](body), encoding, chunk_bytes)) == body


@pytest.mark.parametrize("encoding", COMPRESS)
def test_a_bomb_comes_in_small_pieces(encoding: str) -> None:
    pieces = inflate(COMPRESS[encoding](bytes(50_000_000)), encoding)
    assert sum(map(len, pieces)) == 50_000_000
    assert max(map(len, pieces)) <= 2**18


@pytest.mark.parametrize("encoding", COMPRESS)
@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b + b, lambda b: b"x" + b, lambda _: b""])
def test_what_is_not_one_whole_stream_is_refused(encoding: str, change: object) -> None:
    assert callable(change)
    with pytest.raises(MalformedRequest):
        inflate(change(COMPRESS[encoding](b"clips" * 100)), encoding)


def test_one_form_does_not_pass_for_the_other() -> None:
    for encoding, other in (("gzip", "deflate"), ("deflate", "gzip")):
        with pytest.raises(MalformedRequest):
            inflate(COMPRESS[encoding](b"clips"), other)


def test_a_stream_that_becomes_nothing_has_an_end_as_well() -> None:
    deflater = zlib.compressobj()
    nothing = deflater.compress(b"") + deflater.flush(zlib.Z_FULL_FLUSH) * 1 + b"\x00\x00\x00\xff\xff" * 100_000
    with pytest.raises(UploadTooLarge):
        inflate(nothing, "deflate", max_bytes=10_000)
