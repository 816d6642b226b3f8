"""Files that a command leaves behind."""

from pathlib import Path

import pytest

import clipserve
from clips.errors import CommandError
from training.output_files import check_output_file, write_whole


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "summary.json"
    write_whole(file, "whole\r\n")

    def full(self: Path, text: str, **_: object) -> int:
        with self.open("w") as out:
            out.write(text[:2])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(CommandError, match=r"summary\.json cannot be written: No space left on device; .* is kept"):
        write_whole(file, "something else")
    assert file.read_bytes() == b"whole\r\n"
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_no_file_is_written_to_and_a_link_stays_one(tmp_path: Path) -> None:
    check_output_file(Path("/dev/null"), "--json")
    write_whole(Path("/dev/null"), "text")
    assert Path("/dev/null").is_char_device()
    (tmp_path / "there").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "there" / "real.json")
    write_whole(tmp_path / "link.json", "text")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "there" / "real.json").read_text() == "text"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["evaluate", "best.pt", "clips", "--json", "missing/x.json"], "--json missing/x.json: there is no folder missing"),
        (["evaluate", "best.pt", "clips", "--report", "."], "--report . is a folder; give the name of a file"),
        (["validate", "clips", "--report", "missing/x.html"], "--report missing/x.html: there is no folder missing"),
        (["compare", "runs/m/1", "--report", "missing/x.html"], "--report missing/x.html: there is no folder missing"),
        (["train", "clips", "--name", "m", "--model-repository", "file/models"], "--model-repository file/models: nothing can"),
    ],
)
def test_what_could_not_be_written_is_said_before_the_work(
    arguments: list[str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing else that is named there exists."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert clipserve.main(arguments) == 2
    assert complaint in capsys.readouterr().err


def test_an_error_of_the_system_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as a folder for runs in which nobody may write."""
    (tmp_path / "file").touch()
    clips = tmp_path / "clips"
    for label in ("a", "b"):
        (clips / label).mkdir(parents=True)
        for number in range(2):
            (clips / label / f"{number}.mp4").write_bytes(f"{label}{number}".encode())
    monkeypatch.chdir(tmp_path)
    arguments = [
        "train",
        "clips",
        "--name",
        "m",
        "--weights",
        "none",
        "--backbone",
        "resnet18",
        "--runs",
        "file",
        "--no-publish",
    ]
    assert clipserve.main(arguments) == 1
    assert capsys.readouterr().err.endswith("clipserve train: file/m: Not a directory\n")
