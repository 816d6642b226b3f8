"""What loading took goes back to the system."""

import sys
from pathlib import Path

import pytest

from app.inference.heap import return_free_memory


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heap")
def test_freed_memory_is_returned() -> None:
    blocks = [bytes(50_000) for _ in range(2000)]
    kept = [bytes(50_000)]  # at the top of the heap: what lies below it is not returned by itself
    before = resident_bytes()
    del blocks
    return_free_memory()
    assert kept
    assert resident_bytes() < before - 50_000_000
