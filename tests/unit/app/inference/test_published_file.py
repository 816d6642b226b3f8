"""What may stand for a file of a published version."""

import os
from pathlib import Path

import pytest

from app.inference.model_refused import ModelRefused
from app.inference.published_file import read_published_file


@pytest.fixture
def version(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "colours" / "1"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"weights")
    return folder


def refusal(version: Path, file: str = "model.onnx", max_bytes: int = 100) -> str:
    """The cause; neither it nor the whole message says where the repository lies."""
    with pytest.raises(ModelRefused) as refused:
        read_published_file(version, file, max_bytes)
    assert str(version.parent) not in str(refused.value)
    return refused.value.cause


def test_a_plain_file_is_read(version: Path) -> None:
    assert read_published_file(version, "model.onnx", max_bytes=7) == b"weights"


def test_a_larger_one_is_not(version: Path) -> None:
    assert refusal(version, max_bytes=6) == "model.onnx is larger than 6 bytes"


def test_volumes_as_kubernetes_mounts_them_are_read(version: Path) -> None:
    """The file is a link to ``..data/file``, and ``..data`` one to the folder of the day."""
    today = version / "..2026_11_25"
    today.mkdir()
    (version / "model.onnx").rename(today / "model.onnx")
    (version / "..data").symlink_to(today.name)
    (version / "model.onnx").symlink_to(Path("..data") / "model.onnx")
    assert read_published_file(version, "model.onnx", 100) == b"weights"


def test_a_repository_that_is_a_link_is_read(version: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to("models")
    assert read_published_file(tmp_path / "current" / "colours" / "1", "model.onnx", 100) == b"weights"


def test_a_version_that_is_a_link_within_the_repository_is_read(version: Path) -> None:
    (version.parent / "2").symlink_to("1")
    assert read_published_file(version.parent / "2", "model.onnx", 100) == b"weights"


def test_a_version_that_is_a_link_out_of_the_repository_is_not(version: Path, tmp_path: Path) -> None:
    version.rename(tmp_path / "elsewhere")
    version.symlink_to(tmp_path / "elsewhere")
    assert refusal(version) == "its folder is a link that leads out of the repository"


@pytest.mark.parametrize("target", ["/etc/hostname", "../2/model.onnx", "../../../secret"])
def test_a_link_out_of_the_version_is_not_followed(version: Path, tmp_path: Path, target: str) -> None:
    (version.parent / "2").mkdir()
    for place in (version.parent / "2" / "model.onnx", tmp_path / "secret"):
        place.write_bytes(b"others")
    (version / "model.onnx").unlink()
    (version / "model.onnx").symlink_to(target)
    assert refusal(version) == "model.onnx is a link that leads out of the version's folder"


def test_a_file_with_a_second_name_is_refused(version: Path, tmp_path: Path) -> None:
    os.link(version / "model.onnx", tmp_path / "second")
    assert refusal(version) == "model.onnx has a second name (a hard link); copy it"


def test_a_pipe_does_not_hang(version: Path) -> None:
    os.mkfifo(version / "pipe")
    assert refusal(version, "pipe") == "pipe is not a regular file"


def test_a_folder_is_no_file(version: Path) -> None:
    (version / "folder").mkdir()
    assert refusal(version, "folder") == "folder cannot be read: Is a directory"


def test_a_link_in_a_circle_ends(version: Path) -> None:
    (version / "circle").symlink_to("circle")
    assert "cannot be read" in refusal(version, "circle")


def test_a_missing_file_is_named(version: Path) -> None:
    assert refusal(version, "absent") == "absent cannot be read: No such file or directory"
