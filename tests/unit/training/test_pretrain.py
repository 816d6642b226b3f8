"""Pre-training as a command: what it leaves behind, that it can be stopped anywhere, and that a run starts from it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import clipserve
from clips.errors import CommandError
from tests.stop_after import StopAfter
from tests.videos import encode, grainy_picture
from training.augment import Augmentation
from training.interruption import Interruption
from training.pretrain import pretrain
from training.pretrain_config import PretrainConfig
from training.run_folder import RunFolder
from training.weights import read_state

TINY = {
    "name": "p", "weights": "none", "backbone": "resnet18", "size": 32, "num_frames": 1, "stored_frames": 2, "batch_size": 2,
    "epochs": 2, "warmup_epochs": 0, "projector_width": 16, "precision": "fp32", "device": "cpu", "workers": 0,
}  # fmt: skip
STEPS_PER_EPOCH = 3
FLAGS = [word for key, value in TINY.items() for word in ("--" + key.replace("_", "-"), str(value))]


@pytest.fixture
def clips(make_clips) -> Path:
    return make_clips({"red": 3, "green": 3})


def config(clips: Path, **changes: object) -> PretrainConfig:
    return PretrainConfig(**{**TINY, "videos": str(clips), **changes})


def test_a_run_leaves_a_backbone_that_training_starts_from(clips: Path, big_files: Path, capsys) -> None:
    runs = big_files / "runs"
    assert clipserve.main(["pretrain", str(clips), *FLAGS, "--probe", str(clips), "--runs", str(runs)]) == 0
    folder = RunFolder(runs / "p" / "1")
    rows = list(csv.DictReader(folder.results.read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert rows[0]["knn_accuracy"] == ""
    assert 0 <= float(rows[1]["knn_accuracy"]) <= 1
    summary = json.loads(folder.summary.read_text())
    assert summary["videos"] == 4
    assert summary["knn_accuracy_before"] == 1, "red and green are told apart by any network"
    assert folder.curves.exists()
    told = capsys.readouterr().out
    assert "left out: 2 videos that --probe measures on" in told
    assert "nearest neighbours before: 100.0% of 2 clips" in told
    shape = "--size 32 --num-frames 1 --frame-choices 1 --batch-size 4 --epochs 1 --head-epochs 0 --backbone resnet18"
    started = ["--weights", str(folder.path), "--runs", str(runs), "--no-publish", "--workers", "0", "--device", "cpu"]
    assert clipserve.main(["train", str(clips), "--name", "m", *shape.split(), *started]) == 0
    assert "tensors of the trunk loaded, head starts at random" in capsys.readouterr().out


def test_a_run_that_is_stopped_anywhere_ends_like_one_that_is_not(clips: Path, big_files: Path) -> None:
    settings = config(clips)
    whole = pretrain(settings, None, big_files, Interruption())
    cut = RunFolder(big_files / "p" / "2")
    with pytest.raises(KeyboardInterrupt):
        pretrain(settings, None, big_files, StopAfter(1))
    with pytest.raises(KeyboardInterrupt):
        pretrain(settings, cut, big_files, StopAfter(STEPS_PER_EPOCH))
    pretrain(settings, cut, big_files, Interruption())
    ours, theirs = read_state(cut.path), read_state(whole.path)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    rows = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(run.results.read_text().splitlines())]
        for run in (cut, whole)
    ]
    assert rows[0] == rows[1]


def test_training_changes_the_trunk(clips: Path, big_files: Path) -> None:
    short, long = (pretrain(config(clips, epochs=epochs), None, big_files, Interruption()) for epochs in (1, 2))
    assert not torch.equal(read_state(short.path)["layer4.1.conv2.weight"], read_state(long.path)["layer4.1.conv2.weight"])


def test_videos_learn_to_be_found(tmp_path: Path, big_files: Path) -> None:
    """Six videos of one texture each, seen in crops; a guess finds one in eleven."""
    for number in range(6):
        (tmp_path / f"{number}.mp4").write_bytes(encode([grainy_picture(10 * number)] * 4))
    as_they_are = {"colour": 0, "hue": 0, "grey": 0, "blur": 0}
    settings = config(tmp_path, batch_size=6, epochs=30, crop_scale_min=0.6, **as_they_are)
    run = pretrain(settings, None, big_files, Interruption())
    found = [float(row["found"]) for row in csv.DictReader(run.results.read_text().splitlines())]
    assert np.mean(found[:5]) < 0.9
    assert np.mean(found[-5:]) > 0.95


def test_each_setting_of_the_views_reaches_them(clips: Path) -> None:
    chosen = {"flip": False, "crop_scale_min": 0.3, "colour": 0.11, "hue": 0.12, "grey": 0.13, "blur": 0.14}
    assert config(clips, **chosen).augmentation == Augmentation(size=32, **chosen)


def test_the_temperature_reaches_the_loss(clips: Path, big_files: Path) -> None:
    """The lower, the more a wrong answer costs, and before anything is learnt many are wrong."""
    runs = [pretrain(config(clips, epochs=1, temperature=heat), None, big_files, Interruption()) for heat in (0.02, 1.0)]
    cold, warm = (float(next(csv.DictReader(run.results.read_text().splitlines()))["loss"]) for run in runs)
    assert abs(cold - warm) > 0.1


@pytest.mark.parametrize(
    ("count", "probe", "complaint"),
    [(1, "", "holds 1 videos to learn from"), (2, "gone", "gone does not exist"), (2, "clips", "class")],
)
def test_what_cannot_be_used_is_said_before_a_run_folder_is_made(
    count: int, probe: str, complaint: str, make_clips, capsys
) -> None:
    clips = make_clips({"red": count})
    runs = clips.with_name("runs")
    flags = ["--probe", str(clips.with_name(probe))] if probe else []
    assert clipserve.main(["pretrain", str(clips), *FLAGS, *flags, "--runs", str(runs)]) in {1, 2}
    assert complaint in capsys.readouterr().err
    assert not runs.exists()


def test_a_run_whose_videos_have_changed_does_not_go_on(clips: Path, big_files: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        pretrain(config(clips), None, big_files, StopAfter(1))
    (clips / "red" / "0.mp4").unlink()
    with pytest.raises(CommandError, match="have changed since the run began"):
        pretrain(config(clips), RunFolder(big_files / "p" / "1"), big_files, Interruption())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--name", "p"], "give VIDEOS and --name"),
        (["clips", "--name", "p", "--stored-frames", "2", "--num-frames", "4"], "less than the 4 frames of a clip"),
        (["clips", "--name", "p", "--epochs", "5"], "leaves nothing of 5 epochs"),
        (["clips", "--name", "p", "--warmup-epochs", "inf"], "--warmup-epochs: "),
        (["clips", "--name", "p", "--epochs", "0"], "--epochs: "),
        (["clips", "--name", "P"], "small letters"),
        (["--resume", "gone"], "is no run folder"),
    ],
)
def test_wrong_arguments_are_named(arguments: list[str], complaint: str, capsys) -> None:
    assert clipserve.main(["pretrain", *arguments]) == 2
    assert complaint in capsys.readouterr().err


def test_a_complete_run_is_not_resumed_and_a_resumed_one_keeps_its_settings(clips: Path, big_files: Path, capsys) -> None:
    done = pretrain(config(clips, epochs=1), None, big_files, Interruption())
    assert clipserve.main(["pretrain", "--resume", str(done.path)]) == 1
    told = capsys.readouterr().err
    assert "is complete" in told
    assert f"--weights {done.path}`" in told
    done.summary.unlink()
    assert clipserve.main(["pretrain", "--resume", str(done.path), "--epochs", "9"]) == 2
    assert "leave out epochs" in capsys.readouterr().err
