"""Which keys open the door while their file is being changed."""

import asyncio
import os
from hashlib import sha256
from pathlib import Path

import pytest

from app.api.api_keys import ApiKeys
from clips.errors import UsageError

OLD, NEW = "the-key-of-yesterday", "the-key-of-tomorrow"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"{OLD}\n")
    return path


def look(keys: ApiKeys, file: Path, times: int = 2) -> None:
    for _ in range(times):
        asyncio.run(keys.look(file))


def test_without_keys_none_is_asked_for() -> None:
    assert not ApiKeys().are_asked_for


def test_both_sources_add_up(file: Path) -> None:
    keys = ApiKeys(["of-the-setting"], file)
    assert keys.accept("of-the-setting")
    assert keys.accept(OLD)
    assert not keys.accept("")
    assert not keys.accept(OLD[:-1])


def test_remarks_and_empty_lines_are_no_keys(file: Path) -> None:
    file.write_text(f"\ufeff# {NEW}\n\n  {OLD}  \r\n#\n")
    keys = ApiKeys((), file)
    assert keys.accept(OLD)
    assert not any(map(keys.accept, ("", "#", NEW, f"# {NEW}")))


def test_a_key_may_be_stored_as_its_hash() -> None:
    stored = f"sha256:{sha256(OLD.encode()).hexdigest()}"
    keys = ApiKeys([stored])
    assert keys.accept(OLD)
    assert not keys.accept(stored)


@pytest.mark.parametrize("key", ["sha256:", "sha256:12", f"sha256:{'g' * 64}", f"sha256: {'a' * 64}"])
def test_a_hash_that_is_none_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(UsageError, match="64 hexadecimal digits") as refusal:
        ApiKeys([key])
    assert "g" * 64 not in str(refusal.value)


def test_a_change_is_taken_once_two_looks_agree(file: Path) -> None:
    keys = ApiKeys((), file)
    file.write_text(f"{NEW}\n")
    look(keys, file, times=1)
    assert keys.accept(OLD)
    assert not keys.accept(NEW)
    look(keys, file, times=1)
    assert keys.accept(NEW)
    assert not keys.accept(OLD)


def test_a_file_that_is_being_written_is_not_taken(file: Path) -> None:
    keys = ApiKeys((), file)
    text = f"{NEW}\nanother-key-that-is-long\n"
    for end in range(1, len(text)):
        file.write_text(text[:end])
        look(keys, file, times=1)
        assert keys.accept(OLD)
        assert not keys.accept(NEW)


def test_a_file_that_is_swapped_as_kubernetes_does_is_taken(tmp_path: Path) -> None:
    """keys -> ..data/keys, and ..data -> a folder that is replaced by renaming another link over it."""
    for folder, key in (("..1", OLD), ("..2", NEW)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "keys").write_text(key)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "keys").symlink_to("..data/keys")
    keys = ApiKeys((), tmp_path / "keys")
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    look(keys, tmp_path / "keys")
    assert keys.accept(NEW)
    assert not keys.accept(OLD)


@pytest.mark.parametrize("broken", [b"", b"# nothing\n", b"\xff\xfe", b"sha256:12", b"x" * (2**20 + 1), None])
def test_a_file_that_cannot_be_used_leaves_the_last_good_keys(file: Path, broken: bytes | None) -> None:
    keys = ApiKeys((), file)
    if broken is None:
        file.unlink()
    else:
        file.write_bytes(broken)
    look(keys, file, times=5)
    assert keys.accept(OLD)
    assert keys.are_asked_for
    assert not keys.accept("")
    file.write_text(NEW)
    look(keys, file)
    assert keys.accept(NEW)


@pytest.mark.parametrize("broken", [b"", b"# nothing\n", b"\xff\xfe", b"sha256:12", None])
def test_such_a_file_at_the_start_refuses_to_start(file: Path, broken: bytes | None) -> None:
    if broken is None:
        file.unlink()
    else:
        file.write_bytes(broken)
    with pytest.raises(UsageError, match=r"^the API keys cannot be used: "):
        ApiKeys(["another-key-that-is-right"], file)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="cannot be read"):
        ApiKeys((), tmp_path / "pipe")
