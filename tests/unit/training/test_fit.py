"""The loop: stages, checkpoints, and a run that is interrupted and goes on."""

from pathlib import Path

import pytest
import torch

from tests.stop_after import StopAfter
from tests.videos import encode, grainy_picture
from training.checkpoint import Checkpoint
from training.config import TrainingConfig
from training.interruption import Interruption
from training.model import VideoClassifier
from training.presets import resolve_config
from training.run_folder import RunFolder
from training.train import train

TINY = {"name": "m", "size": 32, "num_frames": 1, "frame_choices": 2, "batch_size": 4, "workers": 0, "device": "cpu"}


TABLES = ("results.csv", "split.csv", "skipped.csv")


NARROW = {"backbone": "resnet18", "temporal_width": 64}


def config(data: Path, weights: str, **changes: object) -> TrainingConfig:
    return resolve_config("finetune", {**TINY, "dataset": str(data), "weights": weights, **changes})


@pytest.fixture
def data(make_clips) -> Path:
    return make_clips({"red": 3, "green": 3})


STEPS_PER_EPOCH = 4


def trained_with_stops(settings: TrainingConfig, stops: list[int], runs: Path) -> RunFolder:
    """The second run of the folder; it is stopped after each of these numbers of steps and resumed, to its end at last."""
    cut = None
    for steps in stops:
        with pytest.raises(KeyboardInterrupt):
            train(settings, cut, runs, StopAfter(steps))
        cut, settings = RunFolder.open(runs / "m" / "2")
    assert cut
    train(settings, cut, runs, Interruption())
    return cut


@pytest.mark.parametrize(
    "stops", [[1], [STEPS_PER_EPOCH], [STEPS_PER_EPOCH + 2], [1, 3, 3], [2 * STEPS_PER_EPOCH + 1]], ids=str
)
@pytest.mark.parametrize("temporal", ["average", "lstm"])
def test_a_resumed_run_equals_one_that_was_not_interrupted(
    data: Path, big_files: Path, stops: list[int], temporal: str
) -> None:
    """Bit for bit, in weights, moving average, optimiser and what is on record, wherever it stopped; dropout is on."""
    changes = {"epochs": 2, "ema_decay": 0.5, "precision": "fp32", "batch_size": 1, "num_frames": 2, "temporal": temporal}
    settings = config(data, "none", optimiser="adamw", **NARROW, **changes)
    whole = train(settings, None, big_files, Interruption())
    cut = trained_with_stops(settings, stops, big_files)
    first, second = Checkpoint.load(whole.last), Checkpoint.load(cut.last)
    assert first.epoch == second.epoch == 2
    assert_same([first.model, first.training], [second.model, second.training])


EVERYTHING = {
    "optimiser": "sgd",
    "mixup": 0.4,
    "cutmix": 0.4,
    "rand_augment": 9,
    "balanced_sampling": True,
    "loss": "focal",
    "accumulate_steps": 2,
    "unfreeze_epochs": 1,
    "frozen_stages": 0,
    "head_epochs": 2,
    "head_views": 2,
    "batch_norm": "trained",
    "schedule": "step",
}


def moving_clips(folder: Path) -> Path:
    """Frames differ, so that it is seen which were drawn."""
    for label, backwards in (("up", False), ("down", True)):
        (folder / label).mkdir(parents=True)
        for number in range(4):
            pictures = [grainy_picture(frame + 5 * number) for frame in range(8)]
            (folder / label / f"{number}.mp4").write_bytes(encode(pictures[::-1] if backwards else pictures))
    return folder


@pytest.mark.parametrize("stops", [[5], [10], [12], [11, 2]], ids=str)
def test_so_it_does_with_everything_on(tmp_path: Path, big_files: Path, stops: list[int]) -> None:
    """The first ten looks at the signal are in the head's stage, which is begun anew where it was not at its end."""
    changes = {"epochs": 3, "ema_decay": 0.5, "precision": "fp32", "batch_size": 2, "num_frames": 2, "frame_choices": 3}
    settings = config(moving_clips(tmp_path / "moving"), "none", **NARROW, **changes, **EVERYTHING, temporal="transformer")
    whole = train(settings, None, big_files, Interruption())
    cut = trained_with_stops(settings, stops, big_files)
    first, second = Checkpoint.load(whole.last), Checkpoint.load(cut.last)
    assert_same([first.model, first.training], [second.model, second.training])


@pytest.mark.parametrize("workers", [0, 2])
def test_clips_that_are_decoded_in_each_epoch_make_the_same_model(tmp_path: Path, big_files: Path, workers: int) -> None:
    """One of them is broken; the run is stopped, goes on, and stops again."""
    data = moving_clips(tmp_path / "moving")
    (data / "up" / "broken.mp4").write_bytes(b"no video")
    changes = {"epochs": 2, "precision": "fp32", "batch_size": 2, "num_frames": 2, "frame_choices": 3, "head_epochs": 2}
    settings = config(data, "none", **NARROW, **changes)
    stored = train(settings, None, big_files, Interruption())
    streamed = trained_with_stops(settings.model_copy(update={"decode": "every_epoch", "workers": workers}), [6, 2], big_files)
    first, second = Checkpoint.load(stored.last), Checkpoint.load(streamed.last)
    assert_same([first.model, first.training], [second.model, second.training])
    assert "broken.mp4" in streamed.skipped.read_text()
    for name in TABLES[1:]:
        assert (stored.path / name).read_text() == (streamed.path / name).read_text()


def test_several_small_batches_make_the_step_of_a_large_one(data: Path, big_files: Path) -> None:
    """The last step has fewer clips; nothing that depends on the batch is on."""
    plain = {"dropout": 0, "flip": False, "crop_scale_min": 1, "colour": 0, "frame_choices": 1, "batch_norm": "frozen"}
    changes = {"epochs": 1, "ema_decay": 0, "precision": "fp32", "optimiser": "sgd", "gradient_clip": 0, "warmup_epochs": 0}
    states = []
    for sizes in ({"batch_size": 3}, {"batch_size": 1, "accumulate_steps": 3}):
        settings = config(data, "none", **NARROW, **plain, **changes, **sizes)
        states.append(Checkpoint.load(train(settings, None, big_files, Interruption()).last).model)
    for key, value in states[0].items():
        torch.testing.assert_close(value, states[1][key], atol=1e-5, rtol=1e-4, msg=key)


def test_no_epoch_is_begun_that_would_not_end_in_time(data: Path, big_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = config(data, "none", **NARROW, epochs=50, patience=0, hours=1e-9)
    run = train(settings, None, big_files, Interruption())
    assert Checkpoint.load(run.last).epoch == 1
    assert "the next epoch would not end within --hours 1e-09: stopping" in capsys.readouterr().out


def test_a_run_that_no_longer_gains_stops_early(data: Path, big_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a rate at which nothing moves, the first epoch stays the best."""
    settings = config(data, "none", **NARROW, epochs=50, patience=3, learning_rate=1e-12)
    run = train(settings, None, big_files, Interruption())
    last = Checkpoint.load(run.last)
    assert last.epoch == 1 + 3
    assert "has not risen for 3 epochs: stopping early" in capsys.readouterr().out


@pytest.mark.parametrize("taught", [False, True])
def test_a_compiled_trunk_is_what_trains(data: Path, big_files: Path, monkeypatch: pytest.MonkeyPatch, taught: bool) -> None:
    """torch.compile itself is left out: it needs a C++ compiler."""
    calls = []

    def compiled(function, *_: object, **__: object):
        def counted(*clips: torch.Tensor) -> torch.Tensor:
            calls.append(torch.is_grad_enabled())
            return function(*clips)

        return counted

    monkeypatch.setattr(torch, "compile", compiled)
    teacher = {}
    if taught:
        plain = train(config(data, "none", **NARROW, epochs=1), None, big_files, Interruption())
        teacher = {"teacher": str(plain.path)}
    run = train(config(data, "none", **NARROW, epochs=1, compile=True, **teacher), None, big_files, Interruption())
    assert set(calls) == {True, False}, "steps and validation"
    assert not any("_orig_mod" in key for key in Checkpoint.load(run.last).model)


def test_stages_that_are_not_unfrozen_yet_stay_as_they_are(data: Path, big_files: Path) -> None:
    changes = {"epochs": 2, "unfreeze_epochs": 1, "ema_decay": 0, "batch_norm": "trained", "frozen_stages": 0, "patience": 0}
    settings = config(data, "none", **NARROW, **changes)
    last = Checkpoint.load(train(settings, None, big_files, Interruption()).last)
    torch.manual_seed(settings.seed)
    start = VideoClassifier(2, settings.dropout, settings.architecture).state_dict()
    changed = {key.split(".")[1] for key in start if key.startswith("trunk.") and not torch.equal(start[key], last.model[key])}
    assert changed == {"layer4"}, "the head in the first epoch, layer4 too in the second"


def assert_same(first: object, second: object) -> None:
    """Equal to the last bit, in whatever plain data it lies; how long steps took may differ."""
    if isinstance(first, torch.Tensor):
        assert isinstance(second, torch.Tensor)
        assert torch.equal(first, second)
    elif isinstance(first, dict):
        assert isinstance(second, dict)
        assert first.keys() == second.keys()
        for key in first.keys() - {"seconds", "clips_per_second"}:
            assert_same(first[key], second[key])
    elif isinstance(first, list):
        assert isinstance(second, list)
        for pair in zip(first, second, strict=True):
            assert_same(*pair)
    else:
        assert first == second


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
