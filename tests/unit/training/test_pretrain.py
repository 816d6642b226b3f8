"""Pre-training as a command: what it leaves behind, that it can be stopped anywhere, and that a run starts from it."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import clipserve
from clips.errors import CommandError
from tests.stop_after import StopAfter
from tests.videos import encode, grainy_picture, solid_picture
from training.augment import Augmentation
from training.interruption import Interruption
from training.pretrain import pretrain
from training.pretrain_config import PretrainConfig
from training.run_folder import RunFolder
from training.weights import read_state, read_torch_file

TINY = {
    "name": "p", "weights": "none", "backbone": "resnet18", "size": 32, "num_frames": 1, "stored_frames": 2, "batch_size": 2,
    "epochs": 2, "warmup_epochs": 0, "projector_width": 16, "precision": "fp32", "device": "cpu", "workers": 0,
}  # fmt: skip
STEPS_PER_EPOCH = 3
FLAGS = [word for key, value in TINY.items() for word in ("--" + key.replace("_", "-"), str(value))]


@pytest.fixture
def clips(make_clips) -> Path:
    return make_clips({"red": 3, "green": 3})


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.jpg", "deep/c.png")):
        Image.fromarray(solid_picture((60 * number, 90, 200), width=40)).save(folder / name)
    (folder / "copy.png").write_bytes((folder / "a.png").read_bytes())
    return folder


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


def test_pictures_are_learnt_from_beside_the_videos(clips: Path, pictures: Path, big_files: Path, capsys) -> None:
    flags = [*FLAGS, "--pictures", str(pictures), "--epochs", "1", "--batch-size", "4"]
    assert clipserve.main(["pretrain", str(clips), *flags, "--runs", str(big_files)]) == 0
    assert "data: 6 different videos and 3 different pictures\n" in capsys.readouterr().out
    run = RunFolder(big_files / "p" / "1")
    summary = json.loads(run.summary.read_text())
    assert (summary["videos"], summary["pictures"]) == (6, 3)
    assert next(csv.DictReader(run.results.read_text().splitlines()))["steps"] == "2", "9 in batches of 4"


@pytest.mark.parametrize("with_pictures", [False, True])
def test_a_run_that_is_stopped_anywhere_ends_like_one_that_is_not(
    clips: Path, pictures: Path, big_files: Path, with_pictures: bool
) -> None:
    settings = config(clips, pictures=str(pictures) if with_pictures else "")
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


@pytest.mark.parametrize("change", ["fewer", "others"])
def test_a_run_whose_pictures_have_changed_does_not_go_on(clips: Path, pictures: Path, big_files: Path, change: str) -> None:
    settings = config(clips, pictures=str(pictures))
    with pytest.raises(KeyboardInterrupt):
        pretrain(settings, None, big_files, StopAfter(1))
    if change == "fewer":
        (pictures / "b.jpg").unlink()
    else:
        Image.fromarray(solid_picture((1, 2, 3))).save(pictures / "b.jpg")
    with pytest.raises(CommandError, match=r"or the pictures of .* have changed since the run began"):
        pretrain(settings, RunFolder(big_files / "p" / "1"), big_files, Interruption())


def test_a_run_that_was_begun_when_there_were_no_pictures_goes_on(clips: Path, big_files: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        pretrain(config(clips), None, big_files, StopAfter(1))
    run = RunFolder(big_files / "p" / "1")
    contents = [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(clips.rglob("*.mp4"))]
    assert read_torch_file(run.last)["videos"] == hashlib.sha256("".join(contents).encode()).hexdigest()
    settings = json.loads(run.config.read_text())
    assert settings.pop("pictures") == ""
    run.config.write_text(json.dumps(settings))
    assert clipserve.main(["pretrain", "--resume", str(run.path)]) == 0


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "gone is no folder of pictures"),
        ({}, "gone holds no JPEG or PNG pictures"),
        ({"a.png": b"a"}, "a.png is not a readable picture"),
    ],
)
def test_pictures_that_cannot_be_used_are_said_before_anything_is_decoded(
    content: dict[str, bytes] | None, complaint: str, clips: Path, capsys
) -> None:
    folder, runs = clips.with_name("gone"), clips.with_name("runs")
    if content is not None:
        folder.mkdir()
        for name, data in content.items():
            (folder / name).write_bytes(data)
    assert clipserve.main(["pretrain", str(clips), *FLAGS, "--pictures", str(folder), "--runs", str(runs)]) == 2
    assert complaint in capsys.readouterr().err
    assert not runs.exists()


def test_pictures_do_not_stand_for_videos(make_clips, pictures: Path, capsys) -> None:
    clips = make_clips({"red": 1})
    assert clipserve.main(["pretrain", str(clips), *FLAGS, "--pictures", str(pictures)]) == 1
    assert "holds 1 videos to learn from" in capsys.readouterr().err


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
