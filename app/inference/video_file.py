"""The bytes of one upload, in a file that has no name: nothing to guess, nothing to clean up, gone with its last descriptor.

    up to 1 MiB   memory          memfd_create
    beyond        TMPDIR          O_TMPFILE, after a move of what memory held

Whoever reads gets a descriptor, never a path, and may not write through it.
"""

import asyncio
import hashlib
import os
import tempfile
from io import FileIO
from types import TracebackType
from typing import Self

from clips.errors import CommandError

SPOOL_BYTES = 2**20
"""A larger video moves to the disk."""

_COPY_BYTES = 2**16
_HASHED_BYTES = 2**20


class VideoFile:
    """First written, then read: ``append`` until the upload is complete, ``fileno`` from then on."""

    def __init__(self, spool_bytes: int = SPOOL_BYTES) -> None:
        """More than ``spool_bytes`` move to the disk. Raises: OSError: no descriptor is left."""
        self._spool_bytes = spool_bytes
        self._writer = _memory_file()
        self._reader = -1
        self._on_disk = False
        self.size_bytes = 0

    @classmethod
    def of(cls, data: bytes) -> Self:
        """A file that holds ``data``. Raises: OSError: there is no room for it."""
        file = cls()
        try:
            file.append(data)
        except OSError:
            file.close()
            raise
        return file

    def append(self, chunk: bytes) -> None:
        """Put ``chunk`` behind what is there.

        Raises: OSError: the disk or the memory is full; close the file. ValueError: it is closed, or has a reader.
        """
        if self._writer < 0:
            raise ValueError("a video is written before it is read")
        if not self._on_disk and self.size_bytes + len(chunk) > self._spool_bytes:
            self._move_to_disk()
        _write(self._writer, chunk)
        self.size_bytes += len(chunk)

    def fileno(self) -> int:
        """Descriptor to read or map the bytes with, the same at each call, the position at the start. It ends the writing.

        It is closed with the file: duplicate it for a thread or task that may live longer.

        Raises: ValueError: the file is closed.
        """
        if self._reader < 0:
            if self._writer < 0:
                raise ValueError("the video is closed")
            self._reader = _read_only(self._writer)
            os.close(self._writer)
            self._writer = -1
        return self._reader

    async def sha256(self) -> bytes:
        """SHA-256 of the bytes, read in a thread; it ends the writing.

        Raises: OSError: no descriptor is left. ValueError: the file is closed.
        """
        # a file object: closed also where the call is cancelled before a thread took it
        return await asyncio.to_thread(_sha256, os.fdopen(os.dup(self.fileno()), "rb", buffering=0))

    def close(self) -> None:
        """Let go of the bytes: memory and disk are free once nobody else holds a descriptor. Once is enough, twice is fine."""
        for descriptor in (self._writer, self._reader):
            if descriptor >= 0:
                os.close(descriptor)
        self._writer = self._reader = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _move_to_disk(self) -> None:
        with tempfile.TemporaryFile(buffering=0) as disk:
            os.lseek(self._writer, 0, os.SEEK_SET)
            while chunk := os.read(self._writer, _COPY_BYTES):
                _write(disk.fileno(), chunk)
            os.dup2(disk.fileno(), self._writer, inheritable=False)
        self._on_disk = True


def _sha256(file: FileIO) -> bytes:
    """Reads at positions of its own: whoever shares the descriptor finds its position at the start. Closes ``file``."""
    digest, position = hashlib.sha256(), 0
    with file:
        while chunk := os.pread(file.fileno(), _HASHED_BYTES, position):
            digest.update(chunk)
            position += len(chunk)
    return digest.digest()


def check_temporary_folder() -> str:
    """The folder that larger uploads go to. Raises: CommandError: nothing can be written there."""
    try:
        with tempfile.TemporaryFile(buffering=0) as probe:
            _write(probe.fileno(), bytes(_COPY_BYTES))
    except OSError as problem:
        raise CommandError(
            f"uploads larger than {SPOOL_BYTES // 2**20} MiB need a writable temporary folder; set TMPDIR ({problem.strerror})"
        ) from problem
    return tempfile.gettempdir()


def _memory_file() -> int:
    """A new descriptor for writing."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("video", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile(buffering=0) as file:  # not Linux
        return os.dup(file.fileno())


def _read_only(writer: int) -> int:
    """The file anew: a worker that a hostile video took over could fill memory or disk through a descriptor that writes."""
    reader = os.open(f"/proc/self/fd/{writer}" if hasattr(os, "memfd_create") else f"/dev/fd/{writer}", os.O_RDONLY)
    os.lseek(reader, 0, os.SEEK_SET)
    return reader


def _write(descriptor: int, data: bytes) -> None:
    """All of it: a disk that fills up takes a part first, and refuses the rest."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
