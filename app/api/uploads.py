"""The bytes of one upload, from a multipart form or a raw body, straight into a file without a name.

They are counted while they arrive, whatever the headers claim. The name that a client gives its file is never looked at.
"""

import asyncio
import errno
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

from fastapi import Request

from app.api.dependencies import UploadLimits
from app.api.form import ONE_FILE, VideoForm
from app.errors import EmptyBody, StorageFull, UnsupportedMediaType, UploadTimeout, UploadTooLarge
from app.inference.video_file import SPOOL_BYTES, VideoFile
from app.observability import logs

_MAX_CONTENT_TYPE = 512
"""Characters; a parser that meets a quoted string of 32 KB in it takes 26 ms."""

MAX_LENGTH_DIGITS = 18
"""Of a length that a header names; Python refuses to read numbers of more than 4300."""


@asynccontextmanager
async def received_video(request: Request, limits: UploadLimits) -> AsyncIterator[VideoFile]:
    """The video that ``request`` carries, complete; its bytes are gone when the block ends, however it ends.

    Raises: EmptyBody, MalformedUpload, StorageFull, UnsupportedMediaType, UploadTimeout, UploadTooLarge.
        ClientDisconnect: the caller left.
    """
    with new_video() as video:
        await _receive(request, limits, video)
        if not video.size_bytes:
            raise EmptyBody
        yield video


async def _receive(request: Request, limits: UploadLimits, video: VideoFile) -> None:
    write = partial(append_chunk, video, limits.max_bytes)
    kind = media_type(request)
    if kind == "multipart/form-data":
        form = VideoForm(request.headers["content-type"], ONE_FILE, lambda: write)
        check_declared_length(request, limits.max_bytes + ONE_FILE.envelope_bytes, too_large(limits.max_bytes))
        await feed(form, request, limits)
    elif kind.startswith("video/") or kind == "application/octet-stream":
        check_declared_length(request, limits.max_bytes, too_large(limits.max_bytes))
        async for chunk in body_chunks(request, limits):
            write(chunk)
    else:
        raise UnsupportedMediaType


def media_type(request: Request) -> str:
    """The Content-Type without its parameters. Raises: UnsupportedMediaType: it is absurdly long."""
    content_type = request.headers.get("content-type", "")
    if len(content_type) > _MAX_CONTENT_TYPE:
        raise UnsupportedMediaType
    return content_type.partition(";")[0].strip().lower()


def check_declared_length(request: Request, max_bytes: int, problem: UploadTooLarge) -> None:
    """Refuse an honest header early; a lying or missing one costs the sender as many bytes as it may send.

    Raises: ``problem``.
    """
    declared = request.headers.get("content-length", "").lstrip("0")
    if declared.isdecimal() and (len(declared) > MAX_LENGTH_DIGITS or int(declared) > max_bytes):
        raise problem


async def feed(form: VideoForm, request: Request, limits: UploadLimits) -> None:
    """Give ``form`` the whole body.

    Raises: MalformedUpload, UploadTimeout, and what the takers of its files raise. ClientDisconnect.
    """
    async for chunk in body_chunks(request, limits):
        form.feed(chunk)
    form.finish()


async def body_chunks(request: Request, limits: UploadLimits) -> AsyncGenerator[bytes, None]:
    """The body's chunks as they arrive, within the limits of time and speed; bytes are counted by whoever keeps them.

    Raises: UploadTimeout: the next one did not come in time. ClientDisconnect: the caller left.
    """
    loop = asyncio.get_running_loop()
    started, received = loop.time(), 0
    chunks = request.stream()
    while True:
        allowed_seconds = limits.allowed_seconds(received)
        try:
            async with asyncio.timeout_at(started + allowed_seconds):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise _timeout(limits, allowed_seconds) from None
        received += len(chunk)
        yield chunk


def new_video(spool_bytes: int = SPOOL_BYTES) -> VideoFile:
    """A video without a byte yet; more than ``spool_bytes`` move to the disk. Raises: StorageFull."""
    with upload_storage():
        return VideoFile(spool_bytes)


def append_chunk(video: VideoFile, max_bytes: int, chunk: bytes) -> None:
    """Written by the event loop itself: a chunk of 64 KiB into the page cache takes less time than to call a thread.

    Raises: UploadTooLarge, StorageFull.
    """
    if video.size_bytes + len(chunk) > max_bytes:
        raise too_large(max_bytes)
    with upload_storage():
        video.append(chunk)


@contextmanager
def upload_storage() -> Iterator[None]:
    """Raises: StorageFull, for an OSError."""
    try:
        yield
    except OSError as problem:
        logs.warning("upload_storage_full", reason=errno.errorcode.get(problem.errno or 0, "unknown"))
        raise StorageFull from problem


def _timeout(limits: UploadLimits, allowed_seconds: float) -> UploadTimeout:
    if allowed_seconds >= limits.timeout_seconds:
        return UploadTimeout(f"The upload did not arrive within {limits.timeout_seconds:g} s.")
    return UploadTimeout(
        f"The upload arrived too slowly: at least {limits.min_bytes_per_second} bytes per second are expected."
    )


def too_large(max_bytes: int) -> UploadTooLarge:
    """What is told to who sends more than ``max_bytes``."""
    return UploadTooLarge(f"An upload may have at most {max_bytes} bytes here; send less.")
