"""Labelled clips from folders and CSV files."""

from pathlib import Path

import pytest

from clips.errors import CommandError, UsageError
from training.dataset import read_dataset


def write_files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def write_csv(folder: Path, *lines: str) -> Path:
    file = folder / "clips.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_folders_are_labels_and_hidden_files_are_no_clips(tmp_path: Path) -> None:
    write_files(tmp_path, "squat/b.mp4", "lunge/a.mp4", "lunge/.DS_Store", ".git/config")
    dataset = read_dataset(tmp_path)
    assert dataset.labels == ["lunge", "squat"]
    assert [clip.name for clip in dataset.clips] == ["lunge/a.mp4", "squat/b.mp4"]


def test_subfolders_belong_to_their_class(tmp_path: Path) -> None:
    write_files(tmp_path, "lunge/a.mp4", "lunge/session2/b.mp4", "lunge/.trash/c.mp4", "squat/c.mp4", "notes.txt", "clips.csv")
    clips = read_dataset(tmp_path).clips
    assert [(clip.name, clip.label) for clip in clips] == [
        ("lunge/a.mp4", "lunge"),
        ("lunge/session2/b.mp4", "lunge"),
        ("squat/c.mp4", "squat"),
    ]


def test_a_video_beside_the_class_folders_is_not_overlooked(tmp_path: Path) -> None:
    write_files(tmp_path, "lunge/a.mp4", "squat/c.mp4", "loose.MP4")
    with pytest.raises(CommandError, match=r"loose\.MP4 lies beside the class folders"):
        read_dataset(tmp_path)


def test_a_csv_file_gives_label_group_and_split(tmp_path: Path) -> None:
    write_files(tmp_path, "x/a.mp4", "y/b.mp4")
    dataset = read_dataset(write_csv(tmp_path, "path,label,group,split", "x/a.mp4,lunge,anna,train", "y/b.mp4,squat,ben,val"))
    assert [(c.label, c.group, c.part) for c in dataset.clips] == [("lunge", "anna", "train"), ("squat", "ben", "val")]


def test_group_and_split_are_optional(tmp_path: Path) -> None:
    write_files(tmp_path, "a.mp4", "b.mp4")
    dataset = read_dataset(write_csv(tmp_path, "path,label", "a.mp4,lunge", "b.mp4,squat"))
    assert [clip.part for clip in dataset.clips] == [None, None]
    assert len({clip.group for clip in dataset.clips}) == 2


def test_names_like_those_of_ucf101_give_groups(tmp_path: Path) -> None:
    write_files(tmp_path, "Lunges/v_Lunges_g08_c01.avi", "Lunges/v_Lunges_g08_c02.avi", "Lunges/v_Lunges_g09_c01.avi")
    dataset = read_dataset(tmp_path)
    assert [clip.group for clip in dataset.clips] == ["v_Lunges_g08", "v_Lunges_g08", "v_Lunges_g09"]
    assert "v_Class_g01_c01" in dataset.grouping


def test_copies_of_one_file_share_a_group(tmp_path: Path) -> None:
    write_files(tmp_path, "lunge/a.mp4", "squat/b.mp4")
    (tmp_path / "lunge/copy.mp4").write_bytes((tmp_path / "lunge/a.mp4").read_bytes())
    first, copy, other = read_dataset(tmp_path).clips
    assert first.group == copy.group != other.group


def test_the_fingerprint_sees_label_group_split_and_content(tmp_path: Path) -> None:
    write_files(tmp_path, "a.mp4", "b.mp4")
    lines = ("path,label,group,split", "a.mp4,lunge,anna,train")
    prints = {
        read_dataset(write_csv(tmp_path, *lines, line)).fingerprint()
        for line in ("b.mp4,squat,ben,val", "b.mp4,squat,ben,train", "b.mp4,squat,eva,val", "b.mp4,lunge,ben,val")
    }
    (tmp_path / "b.mp4").write_bytes(b"other content")
    prints.add(read_dataset(write_csv(tmp_path, *lines, "b.mp4,squat,ben,val")).fingerprint())
    assert len(prints) == 5


def test_the_fingerprint_does_not_depend_on_the_place(tmp_path: Path) -> None:
    for place in ("here", "there"):
        write_files(tmp_path / place, "lunge/a.mp4", "squat/b.mp4")
    assert read_dataset(tmp_path / "here").fingerprint() == read_dataset(tmp_path / "there").fingerprint()


def test_a_missing_folder_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        read_dataset(tmp_path / "nowhere")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="holds no clips"):
        read_dataset(tmp_path)


def test_a_class_folder_without_files_is_refused(tmp_path: Path) -> None:
    write_files(tmp_path, "lunge/a.mp4")
    (tmp_path / "squat").mkdir()
    with pytest.raises(CommandError, match="squat holds no files"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("path,label", "gone.mp4,lunge"), "line 2: there is no file gone.mp4"),
        (("path,label,split", "a.mp4,lunge,test"), "line 2: split is 'test'"),
        (("path,label", "a.mp4,"), "line 2: the columns `path` and `label`"),
        (("file,class", "a.mp4,lunge"), "line 2: the columns `path` and `label`"),
        (("path,label", "a.mp4,lunge", "a.mp4,squat"), "lists a.mp4 more than once"),
    ],
)
def test_a_bad_line_of_a_csv_file_is_named(tmp_path: Path, lines: tuple[str, ...], words: str) -> None:
    write_files(tmp_path, "a.mp4")
    with pytest.raises(CommandError, match=words):
        read_dataset(write_csv(tmp_path, *lines))


def test_a_file_that_is_no_text_is_no_csv(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(CommandError, match="not a readable CSV"):
        read_dataset(tmp_path / "clips.csv")
