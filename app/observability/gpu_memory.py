"""Memory of the NVIDIA GPUs that this process may see, from the driver's own library: no package is needed for four calls.

Source: NVML, https://docs.nvidia.com/deploy/nvml-api/ ; the library comes with the driver, and into a container with the
driver capability ``utility``.
"""

import ctypes
from dataclasses import dataclass
from typing import Any

_LIBRARY = "libnvidia-ml.so.1"


class _Memory(ctypes.Structure):
    """``nvmlMemory_t``."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


@dataclass(frozen=True)
class Reading:
    """One GPU at one moment; whoever holds the memory."""

    used_bytes: int
    total_bytes: int


class GpuMemory:
    """Reads the memory of each GPU; of none where there is no driver."""

    def __init__(self, library_name: str = _LIBRARY) -> None:
        self._library_name = library_name
        self._library: ctypes.CDLL | None = None
        self._is_asked = False

    def read(self) -> dict[str, Reading]:
        """By the driver's index: ``"0"``, ``"1"``, ... Empty without a GPU; one that cannot be read is left out."""
        if not self._is_asked:
            self._is_asked, self._library = True, _start(self._library_name)
        if not self._library:
            return {}
        readings = ((str(index), _read(self._library, index)) for index in range(_count(self._library)))
        return {index: reading for index, reading in readings if reading}


def _start(library_name: str) -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(library_name)
    except OSError:
        return None
    return library if _succeeds(library.nvmlInit_v2) else None


def _count(library: ctypes.CDLL) -> int:
    count = ctypes.c_uint()
    return count.value if _succeeds(library.nvmlDeviceGetCount_v2, ctypes.byref(count)) else 0


def _read(library: ctypes.CDLL, index: int) -> Reading | None:
    device, memory = ctypes.c_void_p(), _Memory()
    found = _succeeds(library.nvmlDeviceGetHandleByIndex_v2, ctypes.c_uint(index), ctypes.byref(device))
    if found and _succeeds(library.nvmlDeviceGetMemoryInfo, device, ctypes.byref(memory)):
        return Reading(memory.used, memory.total)
    return None


def _succeeds(call: Any, *arguments: Any) -> bool:
    """Every call gives 0 where it went well."""
    return int(call(*arguments)) == 0
