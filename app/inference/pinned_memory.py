"""Host memory that a GPU reads by itself. A copy from ordinary memory goes through a buffer of the driver's first."""

import ctypes

import numpy as np
from numpy.typing import NDArray

_CUDA_RUNTIMES = ("libcudart.so.13", "libcudart.so.12")


def pin(array: NDArray[np.uint8]) -> str | None:
    """Pin the memory of ``array`` for as long as the process lives; None, or why it stays as it was.

    Only the speed of a copy depends on it. onnxruntime has the CUDA runtime loaded by then, and offers no pinned arrays
    to Python.
    """
    for name in _CUDA_RUNTIMES:
        try:
            runtime = ctypes.CDLL(name)
        except OSError:
            continue
        status = runtime.cudaHostRegister(ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.nbytes), 0)
        return f"cudaHostRegister gave {status}" if status else None
    return "the CUDA runtime is not loaded"


def unpin(array: NDArray[np.uint8]) -> None:
    """Undo ``pin`` before the memory is freed."""
    for name in _CUDA_RUNTIMES:
        try:
            ctypes.CDLL(name).cudaHostUnregister(ctypes.c_void_p(array.ctypes.data))
        except OSError:
            continue
        return
