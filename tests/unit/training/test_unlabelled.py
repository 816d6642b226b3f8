"""Which videos are found where nobody labelled them."""

from pathlib import Path

import pytest

from clips.errors import CommandError, UsageError
from training.unlabelled import read_videos


def write(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        file = folder / name.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return folder


def test_a_folder_is_searched_with_its_subfolders_and_nothing_comes_twice(tmp_path: Path) -> None:
    write(tmp_path, b_dot_mp4="b", a__deep__c_dot_avi="c", copy_dot_mp4="b", notes_dot_txt="n", a___dot_hidden="h")
    assert [video.name for video in read_videos(tmp_path)] == ["a/deep/c.avi", "b.mp4"]


def test_a_list_is_read_without_what_it_holds_back(tmp_path: Path) -> None:
    write(tmp_path, a_dot_mp4="a", b_dot_mp4="b", c_dot_mp4="c")
    (tmp_path / "clips.csv").write_text("path,label,split\nc.mp4,x,train\nb.mp4,x,val\na.mp4,y,\n")
    assert [video.name for video in read_videos(tmp_path / "clips.csv")] == ["a.mp4", "c.mp4"]


def test_a_list_needs_no_labels(tmp_path: Path) -> None:
    write(tmp_path, a_dot_mp4="a")
    (tmp_path / "clips.csv").write_text("path\na.mp4\n")
    assert [video.name for video in read_videos(tmp_path / "clips.csv")] == ["a.mp4"]


@pytest.mark.parametrize(("line", "complaint"), [("gone.mp4", "line 2: there is no file gone.mp4"), ('""', "`path` is empty")])
def test_a_line_without_its_file_is_named(line: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text(f"path\n{line}\n")
    with pytest.raises(CommandError, match=complaint):
        read_videos(tmp_path / "clips.csv")


def test_another_part_than_train_and_val_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a_dot_mp4="a")
    (tmp_path / "clips.csv").write_text("path,split\na.mp4,test\n")
    with pytest.raises(CommandError, match="line 2: split is 'test'"):
        read_videos(tmp_path / "clips.csv")


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="holds no videos"):
        read_videos(tmp_path)
    with pytest.raises(UsageError, match="does not exist"):
        read_videos(tmp_path / "gone")
