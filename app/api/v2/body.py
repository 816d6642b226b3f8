"""The bytes of one request, inflated where they came compressed, in a file without a name and counted on their way."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from mmap import ACCESS_READ, mmap

from fastapi import Request

from app.api.dependencies import UploadLimits
from app.api.uploads import append_chunk, body_chunks, check_declared_length, new_video, too_large, upload_storage
from app.errors import MalformedRequest, UnsupportedMediaType

_WINDOW_BITS = {"gzip": 31, "deflate": 15}  # RFC 9110: what is called deflate is a zlib stream
_PIECE_BYTES = 2**18
"""Inflated at once; then others have their turn. A chunk of 64 KiB can become 64 MiB."""


@asynccontextmanager
async def received_body(request: Request, limits: UploadLimits, max_bytes: int, spool_bytes: int) -> AsyncIterator[memoryview]:
    """The whole body, read only; views of it stay valid after the block. More than ``spool_bytes`` are on the disk.

    Raises: MalformedRequest: it is empty, or not what its Content-Encoding says. UploadTooLarge: inflated, it has more than
        ``max_bytes``. UnsupportedMediaType, UploadTimeout, StorageFull. ClientDisconnect: the caller left.
    """
    limits = replace(limits, max_bytes=max_bytes)
    with new_video(spool_bytes) as file:
        async for chunk in _decoded_chunks(request, limits):
            append_chunk(file, max_bytes, chunk)
        if not file.size_bytes:
            raise MalformedRequest("The request has no body.")
        with upload_storage():
            body = memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))
    yield body


async def _decoded_chunks(request: Request, limits: UploadLimits) -> AsyncGenerator[bytes, None]:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {*_WINDOW_BITS, "identity"}:
        raise UnsupportedMediaType("The Content-Encoding of a request may be gzip, deflate or identity.")
    slack = 0 if encoding == "identity" else _compression_slack(limits.max_bytes)
    check_declared_length(request, limits.max_bytes + slack, too_large(limits.max_bytes))
    chunks = body_chunks(request, limits)
    async for chunk in chunks if encoding == "identity" else inflated(chunks, encoding, limits.max_bytes):
        yield chunk


def _compression_slack(max_bytes: int) -> int:
    """What cannot be compressed grows by 5 bytes in 16 KiB, and has a header."""
    return max_bytes // 1000 + 1024


async def inflated(chunks: AsyncIterator[bytes], encoding: str, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """The bytes that ``chunks`` are the gzip or deflate form of, in pieces that others can wait for.

    Raises: MalformedRequest: they are not, or are cut short, or something follows. UploadTooLarge: there are more than
        ``max_bytes`` and what compression adds, however little they become.
    """
    inflater = zlib.decompressobj(_WINDOW_BITS[encoding])
    received = 0
    try:
        async for chunk in chunks:
            received += len(chunk)
            if received > max_bytes + _compression_slack(max_bytes):
                raise too_large(max_bytes)
            rest = chunk
            while rest:
                yield inflater.decompress(rest, _PIECE_BYTES)
                rest = inflater.unconsumed_tail
                await asyncio.sleep(0)
            if inflater.unused_data:
                break
        yield inflater.flush()
    except zlib.error:
        raise _not_compressed(encoding) from None
    if not inflater.eof or inflater.unused_data:
        raise _not_compressed(encoding)


def _not_compressed(encoding: str) -> MalformedRequest:
    return MalformedRequest(f"The body is not one complete {encoding} stream, as its Content-Encoding says.")
