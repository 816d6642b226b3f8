"""A video without a name: memory first, then the disk, and nothing is left of it."""

import asyncio
import errno
import gc
import hashlib
import mmap
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.inference.video_file import SPOOL_BYTES, VideoFile, check_temporary_folder
from clips.errors import CommandError

CHUNK = bytes(range(256)) * 256


def contents(file: VideoFile) -> bytes:
    with mmap.mmap(file.fileno(), file.size_bytes, access=mmap.ACCESS_READ) as mapped:
        return mapped[:]


def where(file: VideoFile) -> str:
    return str(Path(f"/proc/self/fd/{file.fileno()}").readlink())


def open_descriptors() -> int:
    gc.collect()  # what others left behind may hold some
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """The kernel refuses to let any file grow beyond this, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 1, SPOOL_BYTES - 1, SPOOL_BYTES, SPOOL_BYTES + 1, 3 * SPOOL_BYTES])
@pytest.mark.parametrize("chunk_size", [1000, 65_536, 2 * SPOOL_BYTES])
def test_what_goes_in_comes_out(size: int, chunk_size: int) -> None:
    data = (CHUNK * (size // len(CHUNK) + 1))[:size]
    with VideoFile() as file:
        for start in range(0, size, chunk_size):
            file.append(data[start : start + chunk_size])
        assert file.size_bytes == size
        assert os.read(file.fileno(), size + 1) == data
        assert size == 0 or contents(file) == data


def test_a_small_video_stays_in_memory_and_a_larger_one_goes_to_the_disk() -> None:
    with VideoFile.of(bytes(SPOOL_BYTES)) as small, VideoFile.of(bytes(SPOOL_BYTES + 1)) as large:
        assert where(small).startswith("/memfd:")
        assert where(large).startswith(tempfile.gettempdir())


def test_a_video_on_disk_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with VideoFile.of(bytes(2 * SPOOL_BYTES)) as file:
        assert "(deleted)" in where(file)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [10, 2 * SPOOL_BYTES])
def test_who_reads_cannot_write(size: int) -> None:
    with VideoFile.of(bytes(size)) as file:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(file.fileno(), b"x")
        with pytest.raises(OSError, match="Invalid argument"):
            os.ftruncate(file.fileno(), 2**40)


def test_writing_ends_where_reading_begins() -> None:
    with VideoFile.of(b"first") as file:
        assert file.fileno() == file.fileno()
        with pytest.raises(ValueError, match="before it is read"):
            file.append(b"second")


@pytest.mark.parametrize("read_first", [False, True])
@pytest.mark.parametrize("size", [10, 2 * SPOOL_BYTES])
def test_nothing_stays_open(size: int, read_first: bool) -> None:
    before = open_descriptors()
    file = VideoFile.of(bytes(size))
    if read_first:
        file.fileno()
    assert open_descriptors() == before + 1
    file.close()
    file.close()
    assert open_descriptors() == before
    with pytest.raises(ValueError, match="closed"):
        file.fileno()


def test_a_duplicate_outlives_the_file() -> None:
    with VideoFile.of(b"kept") as file:
        duplicate = os.dup(file.fileno())
    assert os.read(duplicate, 10) == b"kept"
    os.close(duplicate)


def test_a_child_does_not_inherit_a_video() -> None:
    with VideoFile.of(b"small") as small, VideoFile.of(bytes(2 * SPOOL_BYTES)) as large:
        assert not os.get_inheritable(small.fileno())
        assert not os.get_inheritable(large.fileno())


@pytest.mark.parametrize("limit", [SPOOL_BYTES // 2, 2 * SPOOL_BYTES])
def test_a_full_disk_is_an_error_that_leaves_nothing_behind(limit: int) -> None:
    before = open_descriptors()
    with largest_file(limit), pytest.raises(OSError) as refused:  # noqa: PT011 the errno is the claim
        VideoFile.of(bytes(3 * SPOOL_BYTES))
    assert refused.value.errno == errno.EFBIG
    assert open_descriptors() == before


def test_a_folder_that_takes_nothing_is_reported_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(CommandError, match=r"^uploads larger than 1 MiB need a writable temporary folder; set TMPDIR .*$"):
        check_temporary_folder()


def test_a_folder_that_takes_files_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert check_temporary_folder() == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size_bytes", [1, SPOOL_BYTES, 3 * SPOOL_BYTES + 1])
def test_its_hash_is_that_of_all_bytes_and_moves_nobody(size_bytes: int) -> None:
    data = bytes(range(251)) * (size_bytes // 251 + 1)
    with VideoFile.of(data[:size_bytes]) as video:
        assert asyncio.run(video.sha256()) == hashlib.sha256(data[:size_bytes]).digest()
        assert os.lseek(video.fileno(), 0, os.SEEK_CUR) == 0
