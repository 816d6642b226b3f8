"""Host memory that a GPU reads by itself. A copy from ordinary memory goes through a buffer of the driver's first."""

import ctypes
import mmap
import weakref

import numpy as np

_CUDA_RUNTIMES = ("libcudart.so.13", "libcudart.so.12")


class PinnedBuffer:
    """Zeros, uint8, on pages of their own, which stay in place until ``close``.

    Memory that was given back while it was pinned would poison its address: whoever gets that next, the device would read the
    old pages. So a buffer that nobody closed is released when it is collected.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        """Only the speed of a copy depends on whether it could be pinned.

        onnxruntime has the CUDA runtime loaded by then, and offers no pinned arrays to Python.
        """
        size = int(np.prod(shape, dtype=np.int64))
        memory = mmap.mmap(-1, size)
        self.array = np.frombuffer(memory, np.uint8, size).reshape(shape)
        """uint8, of ``shape``; not valid after ``close``."""
        self.problem = _pin(self.array.ctypes.data, size)
        """Why the memory is not pinned; None where it is."""
        self._release = weakref.finalize(self, _unpin, self.array.ctypes.data) if self.problem is None else None

    def close(self) -> None:
        """Let the pages go; nobody may hold a view of them."""
        if self._release:
            self._release()
        del self.array


def _pin(address: int, size: int) -> str | None:
    runtime = _cuda_runtime()
    if runtime is None:
        return "the CUDA runtime is not loaded"
    status = runtime.cudaHostRegister(ctypes.c_void_p(address), ctypes.c_size_t(size), 0)
    if not status:
        return None
    runtime.cudaGetLastError()  # the runtime keeps an error until somebody asks: onnxruntime would, and fail
    return f"cudaHostRegister gave {status}"


def _unpin(address: int) -> None:
    if runtime := _cuda_runtime():
        runtime.cudaHostUnregister(ctypes.c_void_p(address))


def _cuda_runtime() -> ctypes.CDLL | None:
    for name in _CUDA_RUNTIMES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
