"""The loop: stages, checkpoints, and a run that is interrupted and goes on."""

from pathlib import Path

import pytest
import torch

from training.checkpoint import Checkpoint
from training.config import TrainingConfig
from training.history import EpochResult
from training.interruption import Interruption
from training.presets import resolve_config
from training.run_folder import RunFolder
from training.train import train

TINY = {"name": "m", "size": 32, "num_frames": 1, "frame_choices": 2, "batch_size": 4, "workers": 0, "device": "cpu"}


TABLES = ("results.csv", "split.csv", "skipped.csv")


class StopAfter(Interruption):
    """A signal that comes when so many epochs are on record."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.epochs = epochs

    def check(self) -> None:
        self.requested = self.epochs == 0
        super().check()


def config(data: Path, weights: str, **changes: object) -> TrainingConfig:
    return resolve_config("finetune", {**TINY, "dataset": str(data), "weights": weights, **changes})


@pytest.fixture
def data(make_clips) -> Path:
    return make_clips({"red": 3, "green": 3})


def test_a_resumed_run_equals_one_that_was_not_interrupted(
    data: Path, big_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(data, "none", epochs=2, ema_decay=0.5, precision="fp32")
    whole = train(settings, None, big_files, Interruption())
    stop = StopAfter(epochs=1)
    record = EpochResult.line
    monkeypatch.setattr(EpochResult, "line", lambda *a: (setattr(stop, "epochs", stop.epochs - 1), record(*a))[1])
    with pytest.raises(KeyboardInterrupt):
        train(settings, None, big_files, stop)
    cut, again = RunFolder.open(big_files / "m" / "2")
    train(again, cut, big_files, Interruption())
    assert Checkpoint.load(cut.last).epoch == 2
    for first, second in zip(*(Checkpoint.load(run.last).model.values() for run in (whole, cut)), strict=True):
        assert torch.equal(first, second)
    assert cut.results.read_text().count("\n") == 3


def test_the_head_is_trained_first_and_leaves_the_trunk_alone(data: Path, big_files: Path) -> None:
    settings = config(data, "none", epochs=0, head_epochs=2, head_views=1)
    run = train(settings, None, big_files, Interruption())
    torch.manual_seed(settings.seed)
    checkpoint = Checkpoint.load(run.best)
    assert checkpoint.labels == ["green", "red"]
    assert checkpoint.spec == settings.clip_spec
    assert checkpoint.settings == settings
    assert (checkpoint.model["trunk.bn1.running_mean"] == 0).all()
    left = {file.name for file in run.path.iterdir()}
    assert left == {"best.pt", "last.pt", "config.json", "summary.json", *TABLES, "curves.png", "confusion_matrix.png"}


def test_other_checkpoints_are_refused(big_files: Path) -> None:
    torch.save({"model": {}}, big_files / "x.pt")
    with pytest.raises(Exception, match="not a checkpoint of `clipserve train`"):
        Checkpoint.load(big_files / "x.pt")
