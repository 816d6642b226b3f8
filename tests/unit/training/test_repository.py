"""A version is complete or absent."""

from pathlib import Path

import pytest

from clips.errors import UsageError
from training.repository import building_folder, check_model_name, next_version, release


def test_a_new_model_begins_with_version_1(tmp_path: Path) -> None:
    assert next_version(tmp_path, "m") == 1


def test_versions_count_up_as_numbers(tmp_path: Path) -> None:
    for name in ("2", "10", "notes", ".building-x"):
        (tmp_path / "m" / name).mkdir(parents=True)
    assert next_version(tmp_path, "m") == 11


def test_a_released_version_is_the_folder_itself(tmp_path: Path) -> None:
    with building_folder(tmp_path, "m") as folder:
        (folder / "manifest.json").write_text("{}")
        assert release(folder, 1) == tmp_path / "m" / "1"
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["1"]
    assert (tmp_path / "m" / "1" / "manifest.json").read_text() == "{}"


def test_a_number_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / "manifest.json").write_text("first")
    with building_folder(tmp_path, "m") as folder:
        (folder / "manifest.json").write_text("second")
        assert release(folder, 1) is None
    assert (tmp_path / "m" / "1" / "manifest.json").read_text() == "first"


def test_nothing_is_left_of_a_failed_publication(tmp_path: Path) -> None:
    with building_folder(tmp_path, "m") as folder:
        (folder / "half").write_text("half")
    assert list((tmp_path / "m").iterdir()) == []


@pytest.mark.parametrize("name", ["", "Big", "a b", "../x", "-x", "x" * 65])
def test_a_name_that_no_folder_should_have_is_wrong_usage(name: str) -> None:
    with pytest.raises(UsageError, match="use small letters"):
        check_model_name(name)
