"""Memory for the clips of one video, which the server makes and a decode process fills: no copy on the way back."""

import fcntl
import mmap
import os
import tempfile
from math import prod
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int, int, int, int]
"""Clips, frames, height, width, 3."""

_HAS_MEMORY_FILES = hasattr(os, "memfd_create")


class FrameMemory:
    """A file without a name. Its size is sealed: a process that cut it short would crash whoever has it mapped."""

    def __init__(self, shape: Shape) -> None:
        """Raises: OSError: no descriptor or no memory is left."""
        self.shape = shape
        self._descriptor = _sized_file(size_bytes(shape))

    def fileno(self) -> int:
        """Descriptor to write the frames through."""
        return self._descriptor

    def view(self) -> NDArray[np.uint8]:
        """What is in the memory: uint8 of the shape asked for, read-only. It lives as long as the array does."""
        view = mmap.mmap(self._descriptor, size_bytes(self.shape), prot=mmap.PROT_READ)
        return np.frombuffer(view, np.uint8).reshape(self.shape)

    def close(self) -> None:
        """Let go of the descriptor; arrays stay."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def writable_frames(descriptor: int, shape: Shape) -> NDArray[np.uint8]:
    """The other end: the frames to be filled in, uint8.

    Raises: MemoryError: there is no room for them.
    """
    try:
        return np.frombuffer(mmap.mmap(descriptor, size_bytes(shape)), np.uint8).reshape(shape)
    except OSError as problem:
        raise MemoryError("no address space is left for the frames") from problem


def size_bytes(shape: Shape) -> int:
    """Room that frames of this shape take."""
    return prod(shape)


def _sized_file(size: int) -> int:
    if not _HAS_MEMORY_FILES:  # not Linux
        with tempfile.TemporaryFile(buffering=0) as file:
            file.truncate(size)
            return os.dup(file.fileno())
    descriptor = os.memfd_create("frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, size)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
