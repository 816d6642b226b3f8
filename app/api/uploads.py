"""The bytes of one video, from a multipart form or a raw body; counted while they arrive, whatever the headers claim.

The name that a client gives its file is never looked at.
"""

import asyncio
from collections.abc import AsyncGenerator

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from app.api.dependencies import UploadLimits
from app.errors import EmptyBody, MalformedUpload, UnsupportedMediaType, UploadTimeout, UploadTooLarge

FILE_FIELD = "file"

_ENVELOPE_BYTES = 64 * 1024
"""What a multipart form may hold around its file: boundaries, part headers, a few fields."""
_MAX_FIELDS = 8
_MAX_FIELD_BYTES = 16 * 1024


async def read_video(request: Request, limits: UploadLimits) -> bytes:
    """The video that ``request`` carries.

    Raises: EmptyBody, MalformedUpload, UnsupportedMediaType, UploadTimeout, UploadTooLarge. ClientDisconnect: the caller left.
    """
    content_type = parse_options_header(request.headers.get("content-type"))[0].decode("latin-1").lower()
    try:
        async with asyncio.timeout(limits.timeout_seconds):
            if content_type == "multipart/form-data":
                video = await _from_form(request, limits)
            elif content_type.startswith("video/") or content_type == "application/octet-stream":
                video = b"".join([chunk async for chunk in _counted(request, limits.max_bytes, limits.max_bytes)])
            else:
                raise UnsupportedMediaType
    except TimeoutError:
        raise UploadTimeout(f"The video did not arrive within {limits.timeout_seconds:g} s.") from None
    if not video:
        raise EmptyBody
    return video


async def _counted(request: Request, max_body_bytes: int, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """The body's chunks; refused at its Content-Length where that is honest, else at the first byte too many."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_body_bytes:
        raise _too_large(max_bytes)
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > max_body_bytes:
            raise _too_large(max_bytes)
        yield chunk


async def _from_form(request: Request, limits: UploadLimits) -> bytes:
    body = _counted(request, limits.max_bytes + _ENVELOPE_BYTES, limits.max_bytes)
    parser = MultiPartParser(request.headers, body, max_files=1, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_BYTES)
    parser.spool_max_size = limits.max_bytes + 1  # in memory: a container's file system may be read-only
    try:
        form = await parser.parse()
    except MultiPartException as problem:
        raise MalformedUpload from problem
    try:
        return await _file_of(form, limits)
    finally:
        await form.close()


async def _file_of(form: FormData, limits: UploadLimits) -> bytes:
    file = form.get(FILE_FIELD)
    if not isinstance(file, UploadFile):
        raise MalformedUpload
    if (file.size or 0) > limits.max_bytes:
        raise _too_large(limits.max_bytes)
    return await file.read()


def _too_large(max_bytes: int) -> UploadTooLarge:
    return UploadTooLarge(f"A video may have at most {max_bytes} bytes; send a shorter or smaller one.")
