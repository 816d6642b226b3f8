"""``clipserve evaluate`` on a published model that names colours."""

import json
from pathlib import Path

import pytest

import clipserve
from tests.colour_model import publish
from training.dataset import read_dataset
from training.held_out import calibration_clips
from training.split import split_dataset


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return publish(tmp_path / "models")


def evaluate(*arguments: object) -> int:
    return clipserve.main(["evaluate", *map(str, arguments), "--workers", "0"])


def test_it_prints_the_figures_and_writes_them(model: Path, make_clips, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_clips({"red": 2, "green": 2, "blue": 2})
    assert evaluate(model, data, "--json", data / "figures.json") == 0
    out = capsys.readouterr().out
    assert "accuracy 100.0%" in out
    assert "not the data that the model was trained on" in out
    assert json.loads((data / "figures.json").read_text())["confusion"] == [[2, 0, 0], [0, 2, 0], [0, 0, 2]]


def test_it_says_how_certain_the_figures_are_and_writes_a_page(
    model: Path, make_clips, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_clips({"red": 3, "green": 3, "blue": 3})
    (data / "red" / "0.mp4").rename(data / "green" / "a <b> clip.mp4")
    assert (
        evaluate(model, data, "--report", data / "report.html", "--json", data / "figures.json", "--clips", 2, "--crops", 3)
        == 0
    )
    out = capsys.readouterr().out
    assert "95% intervals, groups drawn again: accuracy" in out
    assert "calibration: expected error" in out
    assert "views: 2 in time, 3 in space" in out
    figures = json.loads((data / "figures.json").read_text())
    assert figures["accuracy"] == pytest.approx(8 / 9)
    low, high = figures["intervals"]["accuracy"]
    assert low < 8 / 9 <= high
    (mistake,) = figures["mistakes"]
    assert (mistake["label"], mistake["predicted"], mistake["name"]) == ("green", "red", "green/a <b> clip.mp4")
    assert sum(figures["calibration"]["clips"]) == 9
    page = (data / "report.html").read_text()
    assert page.count("<img") == 4, "three plots and the one mistake"
    assert "green/a &lt;b&gt; clip.mp4" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", ""), "it needs nothing else"


def test_the_newest_version_stands_for_the_model(model: Path, make_clips, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(model.parent, make_clips({"red": 1})) == 0
    assert "colours version 1, fp32" in capsys.readouterr().out


def test_a_label_that_the_model_does_not_know_is_named(model: Path, make_clips, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(model, make_clips({"red": 1, "violet": 1})) == 1
    assert "does not know the label 'violet'; it knows red, green, blue" in capsys.readouterr().err


def test_a_changed_model_file_is_refused(model: Path, make_clips, capsys: pytest.CaptureFixture[str]) -> None:
    with (model / "model.onnx").open("ab") as file:
        file.write(b"x")
    assert evaluate(model, make_clips({"red": 1})) == 1
    assert "changed after it was published" in capsys.readouterr().err


def test_a_changed_manifest_is_refused(model: Path, make_clips, capsys: pytest.CaptureFixture[str]) -> None:
    (model / "manifest.json").write_text("{}")
    assert evaluate(model, make_clips({"red": 1})) == 1
    assert "does not follow the schema" in capsys.readouterr().err


def test_a_folder_that_is_no_model_is_wrong_usage(make_clips, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_clips({"red": 1})
    assert evaluate(data, data) == 2
    assert "neither a checkpoint nor a published model" in capsys.readouterr().err


def test_a_file_that_is_no_checkpoint_is_refused(make_clips, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_clips({"red": 1})
    assert evaluate(data / "red" / "0.mp4", data) == 1
    assert "is not a checkpoint" in capsys.readouterr().err


def test_calibration_draws_evenly_from_training_clips(make_clips) -> None:
    dataset = split_dataset(read_dataset(make_clips({"red": 6, "green": 4, "blue": 3})), seed=0)
    chosen = calibration_clips(dataset, 6, seed=0)
    assert sorted(clip.label for clip in chosen) == ["blue", "blue", "green", "green", "red", "red"]
    assert all(clip.part == "train" for clip in chosen)
