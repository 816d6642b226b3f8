"""Two processes that torchrun starts train what one trains, and end together."""

import csv
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import clipserve
from tests.videos import encode, grainy_picture
from training.checkpoint import Checkpoint

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
# nothing in here depends on who else is in a process's share: dropout draws for a share, trained batch norm looks at one
SETTINGS = (
    "--weights none --backbone resnet18 --size 32 --num-frames 2 --frame-choices 2 --workers 0 --device cpu --precision fp32 "
    "--dropout 0 --batch-norm frozen --head-epochs 2 --frozen-stages 3 --unfreeze-epochs 1 --ema-decay 0.5 --epochs 4 "
    "--batch-size 4 --accumulate-steps 2 --mixup 0.4 --cutmix 0.4 --patience 0 --no-publish --name m"
)
ENDED, IN_EPOCH_4 = "tests.ended_training", "6"
"""Once in both epochs of the head, once behind them, twice in epoch 3, and then after the first step of the next."""
DEADLINE_SECONDS = 200


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine clips to train on, so that the last batch has one clip for two processes, and three to measure, in one batch."""
    folder = tmp_path_factory.mktemp("data")
    for label, count in (("down", 7), ("up", 5)):
        (folder / label).mkdir()
        for number in range(count):
            pictures = [grainy_picture(frame + 9 * number) for frame in range(6)]
            (folder / label / f"{number}.mp4").write_bytes(encode(pictures[::-1] if label == "down" else pictures))
    return folder


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run 1 by one process."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("runs")
    assert clipserve.main(["train", str(data), *SETTINGS.split(), "--runs", str(folder)]) == 0
    yield folder
    for file in folder.glob("m/*/*.pt"):
        file.unlink()


@contextmanager
def two_processes(*arguments: str, module: Sequence[str] = ("training",)) -> Iterator[subprocess.Popen[str]]:
    command = [*TORCHRUN, "-m", *module, "train", *arguments]
    threads = {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | threads
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def results(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((run / "results.csv").read_text().splitlines()))


def test_a_stopped_run_of_two_goes_on_and_equals_that_of_one(data: Path, runs: Path) -> None:
    """With gradual unfreezing, accumulation, mixing, a moving average and a process without a clip."""
    with two_processes(str(data), *SETTINGS.split(), "--runs", str(runs), module=(ENDED, "torchrun", IN_EPOCH_4)) as process:
        out, errors = process.communicate(timeout=DEADLINE_SECONDS)
    assert out.count("stopped in epoch 4;") == 1, out + errors
    cut = runs / "m" / "2"
    assert Checkpoint.load(cut / "last.pt").epoch == 3

    # each of the two now decodes what it needs, ahead of its steps
    with two_processes("--resume", str(cut), "--no-publish", "--decode", "every_epoch", "--workers", "2") as process:
        out, errors = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0, errors
    assert [line.split()[1] for line in out.splitlines() if line.startswith("epoch ")] == ["4/6", "5/6", "6/6"]
    assert out.count("result: accuracy") == 1
    assert {path.name for path in cut.parent.iterdir()} == {"1", "2"}
    assert {path.name for path in cut.iterdir()} == {path.name for path in (runs / "m" / "1").iterdir()}
    assert_alike(runs / "m" / "1", cut)


def assert_alike(one: Path, two: Path) -> None:
    first, second = (Checkpoint.load(run / "last.pt") for run in (one, two))
    for key, value in first.model.items():
        torch.testing.assert_close(value, second.model[key], atol=1e-5, rtol=0, msg=key)
    for row, other in zip(results(one), results(two), strict=True):
        assert (row["epoch"], row["stage"], row["val_accuracy"]) == (other["epoch"], other["stage"], other["val_accuracy"])
        assert row["train_accuracy"] == other["train_accuracy"]
        for column in ("learning_rate", "train_loss", "val_loss", "val_macro_f1"):
            assert float(row[column]) == pytest.approx(float(other[column]), abs=1e-5), column


def test_a_run_of_two_can_be_ended_by_one_and_a_killed_process_ends_the_other(data: Path, runs: Path) -> None:
    with two_processes(str(data), *SETTINGS.split(), "--runs", str(runs), module=(ENDED, "1", IN_EPOCH_4)) as process:
        _, errors = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 1
    assert errors.count("clipserve train: another process of the run has ended") == 1
    cut = max((runs / "m").iterdir(), key=lambda run: int(run.name))
    torch.set_num_threads(1)
    assert clipserve.main(["train", "--resume", str(cut), "--no-publish"]) == 0
    assert_alike(runs / "m" / "1", cut)


def test_data_that_cannot_be_used_is_told_once(data: Path, tmp_path: Path) -> None:
    for label in ("good", "bad"):
        (tmp_path / "clips" / label).mkdir(parents=True)
        for number in range(3):
            content = (data / "up" / f"{number}.mp4").read_bytes() if label == "good" else f"no video {number}".encode()
            (tmp_path / "clips" / label / f"{number}.mp4").write_bytes(content)
    with two_processes(str(tmp_path / "clips"), *SETTINGS.split(), "--runs", str(tmp_path / "runs")) as process:
        _, errors = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 1
    assert errors.count("clipserve train: no clip of class bad can be decoded") == 1
    assert "training/train.py" not in errors, "no traceback of ours"
    assert not list((tmp_path / "runs").glob("m/*/frames*"))
