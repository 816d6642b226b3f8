"""Host memory that a GPU reads by itself. A copy from ordinary memory goes through a buffer of the driver's first."""

import ctypes

import numpy as np
from numpy.typing import NDArray

_CUDA_RUNTIMES = ("libcudart.so.13", "libcudart.so.12")


def pin(array: NDArray[np.uint8]) -> str | None:
    """Pin the memory of ``array`` until ``unpin``; None, or why it stays as it was.

    Only the speed of a copy depends on it. onnxruntime has the CUDA runtime loaded by then, and offers no pinned arrays
    to Python.
    """
    runtime = _cuda_runtime()
    if runtime is None:
        return "the CUDA runtime is not loaded"
    status = runtime.cudaHostRegister(ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.nbytes), 0)
    return f"cudaHostRegister gave {status}" if status else None


def unpin(array: NDArray[np.uint8]) -> None:
    """Undo ``pin`` before the memory is freed."""
    if runtime := _cuda_runtime():
        runtime.cudaHostUnregister(ctypes.c_void_p(array.ctypes.data))


def _cuda_runtime() -> ctypes.CDLL | None:
    for name in _CUDA_RUNTIMES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
