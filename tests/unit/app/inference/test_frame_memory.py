"""Memory that two processes share: what one writes the other sees, and neither can take it from under the other."""

import os

import numpy as np
import pytest

from app.inference.frame_memory import FrameMemory, size_bytes, writable_frames

SHAPE = (1, 2, 4, 4, 3)


def test_what_one_end_writes_the_other_sees() -> None:
    with FrameMemory(SHAPE) as memory:
        writable_frames(memory.fileno(), SHAPE)[0, 1] = 7
        assert memory.view().shape == SHAPE
        assert memory.view()[0, :, 0, 0, 0].tolist() == [0, 7]


def test_frames_outlive_the_descriptor_and_are_read_only() -> None:
    with FrameMemory(SHAPE) as memory:
        frames = memory.view()
    assert int(frames.sum()) == 0
    with pytest.raises(ValueError, match="read-only"):
        frames[0] = 1


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="seals are Linux's")
@pytest.mark.parametrize("size", [0, 10 * size_bytes(SHAPE)])
def test_the_size_is_sealed(size: int) -> None:
    """A shorter file would be SIGBUS in the server."""
    with FrameMemory(SHAPE) as memory, pytest.raises(PermissionError):
        os.ftruncate(memory.fileno(), size)


def test_more_than_the_address_space_is_out_of_memory() -> None:
    shape = (1, 2**16, 2**15, 2**15, 3)  # 192 TiB, of which no page is ever touched
    with FrameMemory(shape) as memory, pytest.raises(MemoryError):
        writable_frames(memory.fileno(), shape)


def test_frames_are_bytes() -> None:
    with FrameMemory(SHAPE) as memory:
        assert memory.view().dtype == np.uint8
        assert memory.view().flags.c_contiguous
