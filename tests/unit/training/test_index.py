"""Lists of public data sets, and folders, as a CSV file that training reads."""

from pathlib import Path

import pytest

import clipserve
from tests.videos import RED, solid_video
from training.dataset import read_dataset

CLIP = solid_video(RED, num_frames=4)


def put(folder: Path, *names: str) -> Path:
    """Files, each with content of its own."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(CLIP + bytes([number]))
    return folder


def index(videos: Path, *arguments: object) -> int:
    return clipserve.main(["index", str(videos), "--output", str(videos / "clips.csv"), *map(str, arguments)])


def rows(videos: Path) -> list[tuple[str, str, str, str | None]]:
    return [(clip.name, clip.label, clip.group, clip.part) for clip in read_dataset(videos / "clips.csv").clips]


def test_a_folder_is_split_by_groups(tmp_path: Path) -> None:
    names = [f"{label}/v_{label}_g{group:02d}_c{clip:02d}.mp4" for label in "AB" for group in range(1, 6) for clip in (1, 2)]
    assert index(put(tmp_path, *names)) == 0
    found = rows(tmp_path)
    assert len(found) == 20
    sides = {group: {part for _, _, other, part in found if other == group} for _, _, group, _ in found}
    assert all(len(parts) == 1 for parts in sides.values())
    assert {part for _, _, _, part in found} == {"train", "val"}


def test_ucf101_keeps_its_own_split_and_what_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos = put(
        tmp_path / "UCF-101", "Run/v_Run_g08_c01.avi", "Run/v_Run_g01_c02.avi", "Sit/v_Sit_g09_c01.avi", "Sit/v_Sit_g02_c01.avi"
    )
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "trainlist02.txt").write_text("Run/v_Run_g08_c01.avi 1\nSit/v_Sit_g09_c01.avi 2\nSit/v_Sit_g09_c07.avi 2\n")
    (lists / "testlist02.txt").write_text("Run/v_Run_g01_c02.avi\nSit/v_Sit_g02_c01.avi\n")
    assert index(videos, "--format", "ucf101", "--annotations", lists, "--fold", 2) == 0
    assert rows(videos) == [
        ("Run/v_Run_g01_c02.avi", "Run", "v_Run_g01", "val"),
        ("Run/v_Run_g08_c01.avi", "Run", "v_Run_g08", "train"),
        ("Sit/v_Sit_g02_c01.avi", "Sit", "v_Sit_g02", "val"),
        ("Sit/v_Sit_g09_c01.avi", "Sit", "v_Sit_g09", "train"),
    ]
    assert "1 clips are listed and not there, such as Sit/v_Sit_g09_c07.avi" in capsys.readouterr().out


def test_hmdb51_leaves_out_what_its_lists_leave_out_and_groups_by_film(tmp_path: Path) -> None:
    names = ["wave/film_a_wave_0.avi", "wave/film_a_wave_1.avi", "wave/film_b_wave_0.avi", "sit/x_sit_0.avi", "sit/y_sit_3.avi"]
    videos = put(tmp_path / "hmdb", *names)
    lists = tmp_path / "splits"
    lists.mkdir()
    (lists / "wave_test_split1.txt").write_text(
        "film_a_wave_0.avi 1 \nfilm_a_wave_1.avi 0 \nfilm_b_wave_0.avi 2 \n".replace(" \n", "\n")
    )
    (lists / "sit_test_split1.txt").write_text("x_sit_0.avi 1\ny_sit_3.avi 2\n")
    assert index(videos, "--format", "hmdb51", "--annotations", lists) == 0
    assert [(name, group, part) for name, _, group, part in rows(videos)] == [
        ("sit/x_sit_0.avi", "x_sit", "train"),
        ("sit/y_sit_3.avi", "y_sit", "val"),
        ("wave/film_a_wave_0.avi", "film_a_wave", "train"),
        ("wave/film_b_wave_0.avi", "film_b_wave", "val"),
    ]


def test_kinetics_finds_files_where_downloaders_put_them(tmp_path: Path) -> None:
    videos = put(
        tmp_path / "k", "riding a bike/abcdefghijk_000010_000020.mp4", "making_tea/bbbbbbbbbbb_000000_000010.webm",
        "ccccccccccc_000003_000013.mp4", "ddddddddddd_000001_000011.mp4",
    )  # fmt: skip
    lists = tmp_path / "lists"
    lists.mkdir()
    head = "label,youtube_id,time_start,time_end,split\n"
    (lists / "train.csv").write_text(head + "riding a bike,abcdefghijk,10,20,train\nmaking tea,bbbbbbbbbbb,0,10,train\n")
    (lists / "val.csv").write_text(head + "riding a bike,ccccccccccc,3,13,validate\nmaking tea,ddddddddddd,1,11,validate\n")
    assert index(videos, "--format", "kinetics", "--annotations", lists) == 0
    assert {(name, label, group, part) for name, label, group, part in rows(videos)} == {
        ("riding a bike/abcdefghijk_000010_000020.mp4", "riding a bike", "abcdefghijk", "train"),
        ("making_tea/bbbbbbbbbbb_000000_000010.webm", "making tea", "bbbbbbbbbbb", "train"),
        ("ccccccccccc_000003_000013.mp4", "riding a bike", "ccccccccccc", "val"),
        ("ddddddddddd_000001_000011.mp4", "making tea", "ddddddddddd", "val"),
    }


@pytest.mark.parametrize(
    ("kind", "files", "complaint"),
    [
        ("ucf101", {}, "there is no"),
        ("ucf101", {"trainlist01.txt": "Run/run.avi 1", "testlist01.txt": ""}, "is not a clip of UCF101"),
        ("hmdb51", {}, "holds no lists of HMDB51 for fold 1"),
        ("hmdb51", {"wave_test_split1.txt": "a.avi 3"}, "does not end with 0, 1 or 2"),
        ("kinetics", {"train.csv": "name,id\n"}, "has no column label"),
        ("kinetics", {}, "holds no CSV files"),
        ("kinetics", {"train.csv": "label,youtube_id,time_start,time_end\na,b,,10\n"}, "train.csv, line 2: time_start and"),
        ("ucf101", {"trainlist01.txt": "Run/v_Run_g01_c01.avi 1", "testlist01.txt": ""}, "none of the 1 clips that are listed"),
    ],
)
def test_lists_that_cannot_be_used_are_one_line(
    kind: str, files: dict[str, str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos, lists = tmp_path / "videos", tmp_path / "lists"
    videos.mkdir()
    lists.mkdir()
    for name, content in files.items():
        (lists / name).write_text(content)
    assert index(videos, "--format", kind, "--annotations", lists) in {1, 2}
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert not (videos / "clips.csv").exists()


def test_a_list_that_leaks_leaves_the_file_that_was_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same content on both sides."""
    videos = put(tmp_path / "UCF-101", "Run/v_Run_g08_c01.avi", "Sit/v_Sit_g09_c01.avi", "Sit/v_Sit_g02_c01.avi")
    (videos / "Run/v_Run_g01_c02.avi").write_bytes((videos / "Run/v_Run_g08_c01.avi").read_bytes())
    (videos / "clips.csv").write_text("mine")
    (tmp_path / "trainlist01.txt").write_text("Run/v_Run_g08_c01.avi 1\nSit/v_Sit_g09_c01.avi 2\n")
    (tmp_path / "testlist01.txt").write_text("Run/v_Run_g01_c02.avi\nSit/v_Sit_g02_c01.avi\n")
    assert index(videos, "--format", "ucf101", "--annotations", tmp_path) == 1
    assert "v_Run_g01_c02.avi" in capsys.readouterr().err
    assert (videos / "clips.csv").read_text() == "mine"
    assert sorted(path.name for path in videos.iterdir()) == ["Run", "Sit", "clips.csv"]


def test_a_file_elsewhere_could_not_name_its_clips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "videos", "a/1.mp4")
    assert clipserve.main(["index", str(tmp_path / "videos"), "--output", str(tmp_path / "clips.csv")]) == 2
    assert "paths in the file are relative to it" in capsys.readouterr().err
