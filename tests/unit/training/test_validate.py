"""What is wrong with a data set is said before it is trained on."""

import json
from pathlib import Path

import pytest

import clipserve
from tests.videos import numbered_video, truncated


def validate(*arguments: object) -> int:
    return clipserve.main(["validate", *map(str, arguments), "--workers", "0"])


def test_a_good_data_set_has_nothing_to_be_mended(make_clips, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_clips({"red": 3, "green": 3})
    assert validate(data, "--shortest-seconds", 0.1) == 0
    out = capsys.readouterr().out
    assert "6 clips, 2 classes" in out
    assert "nothing keeps it from being trained on" in out


@pytest.fixture
def bad(make_clips) -> Path:
    """One of each kind of finding."""
    data = make_clips({"red": 4, "green": 4})
    (data / "red" / "text.mp4").write_bytes(b"no video")
    (data / "green" / "same as red.mp4").write_bytes((data / "red" / "0.mp4").read_bytes())
    (data / "green" / "copy <1>.mp4").write_bytes((data / "green" / "1.mp4").read_bytes())
    (data / "red" / "cut.mkv").write_bytes(truncated(numbered_video(60), keep=0.8))
    return data


def test_each_finding_names_the_file_and_the_reason(bad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, figures = tmp_path / "data.html", tmp_path / "data.json"
    assert validate(bad, "--report", page, "--json", figures) == 1
    told = capsys.readouterr()
    assert "unreadable: red/text.mp4: " in told.out
    assert "(not_a_video)" in told.out
    assert "two labels: green/same as red.mp4, red/0.mp4: the same file is labelled green and red" in told.out
    assert "copies: green/1.mp4, green/copy <1>.mp4: the same file" in told.out
    assert "short: green/0.mp4: 0.24 s, 6 frames" in told.out
    assert "findings are to be mended before training" in told.err
    kinds = {finding["kind"] for finding in json.loads(figures.read_text())["findings"]}
    assert {"unreadable", "two labels", "copies", "short"} <= kinds
    html = page.read_text()
    assert "copy &lt;1&gt;.mp4" in html
    assert html.count("<img") > 8
    assert "<script" not in html


def test_a_copy_on_the_other_side_of_a_given_split_is_grave(make_clips, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_clips({"red": 2, "green": 2})
    (data / "red" / "1.mp4").write_bytes((data / "red" / "0.mp4").read_bytes())
    lines = ["path,label,split", "red/0.mp4,red,train", "red/1.mp4,red,val", "green/0.mp4,green,train", "green/1.mp4,green,val"]
    (data / "clips.csv").write_text("\n".join(lines))
    assert validate(data / "clips.csv") == 1
    assert "in both parts: red/0.mp4, red/1.mp4: the same file is trained on and measured on" in capsys.readouterr().out


def test_all_files_that_are_missing_are_listed(make_clips, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_clips({"red": 2, "green": 2})
    lines = ["path,label", "red/0.mp4,red", "gone.mp4,red", "red/gone too.mp4,red", "green/0.mp4,green", "green/1.mp4,green"]
    (data / "clips.csv").write_text("\n".join(lines))
    assert validate(data / "clips.csv") == 1
    told = capsys.readouterr()
    assert "unreadable: gone.mp4: No such file or directory (unreadable)" in told.out
    assert "unreadable: red/gone too.mp4: No such file or directory (unreadable)" in told.out
    assert "copies" not in told.out


def test_an_empty_class_and_a_missing_folder_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate(tmp_path / "nowhere") == 2
    (tmp_path / "data" / "red").mkdir(parents=True)
    assert validate(tmp_path / "data") == 1
    error = capsys.readouterr().err
    assert "does not exist" in error
    assert "holds no files" in error
