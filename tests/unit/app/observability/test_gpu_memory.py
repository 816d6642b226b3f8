"""What the driver's library says, through its own C interface: a stand-in is compiled for it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from app.observability.gpu_memory import GpuMemory, Reading

STAND_IN = """
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
static int devices[3];
int nvmlInit_v2(void) { return INIT; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 3; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) { *device = &devices[index]; return 0; }
int nvmlDeviceGetMemoryInfo(void *device, nvmlMemory_t *memory) {
    if (device == &devices[1]) return 15;  /* NVML_ERROR_GPU_IS_LOST */
    memory->total = 85899345920ULL; memory->free = 1; memory->used = device == &devices[0] ? 17179869184ULL : 0; return 0;
}
"""


def stand_in(folder: Path, init: int) -> str:
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(
        [compiler, "-shared", "-fPIC", f"-DINIT={init}", "-x", "c", "-", "-o", str(library)],
        input=STAND_IN,
        text=True,
        check=True,
    )
    return str(library)


def test_each_gpu_is_read_and_one_that_is_lost_is_left_out(tmp_path: Path) -> None:
    expected = {"0": Reading(16 * 2**30, 80 * 2**30), "2": Reading(0, 80 * 2**30)}
    assert GpuMemory(stand_in(tmp_path, init=0)).read() == expected


def test_a_driver_that_does_not_start_is_no_gpu(tmp_path: Path) -> None:
    assert GpuMemory(stand_in(tmp_path, init=9)).read() == {}


def test_without_a_driver_there_is_no_gpu() -> None:
    assert GpuMemory("libof-nobody.so.1").read() == {}
