"""Records of a run beside results.csv."""

import csv
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import clipserve
from clips.errors import CommandError
from tests.unit.training.test_fit import NARROW, STEPS_PER_EPOCH, TINY, config, trained_with_stops
from tests.unit.training.test_run_folder import epoch
from training.history import TagEpochResult
from training.interruption import Interruption
from training.pace import Pace
from training.presets import PRESETS, resolve_config
from training.processes import ALONE, Processes
from training.run_folder import RunFolder
from training.tensorboard_log import tensorboard_log
from training.tracking import tracked
from training.train import train

COLUMNS = {
    "loss/train": "train_loss",
    "loss/val": "val_loss",
    "macro_f1/val": "val_macro_f1",
    "run/learning_rate": "learning_rate",
}
SETTINGS = resolve_config("finetune", {"name": "m", "dataset": "clips", "tensorboard": True})


@pytest.fixture
def data(make_clips) -> Path:
    return make_clips({"red": 3, "green": 3})


def scalars(run: RunFolder) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows: step and value."""
    log = EventAccumulator(str(run.tensorboard)).Reload()
    return {tag: [(event.step, event.value) for event in log.Scalars(tag)] for tag in log.Tags()["scalars"]}


def results(run: RunFolder) -> dict[str, list[tuple[int, float]]]:
    rows = defaultdict(list)
    for row in csv.DictReader(run.results.read_text().splitlines()):
        for tag, column in COLUMNS.items():
            rows[tag].append((int(row["epoch"]), pytest.approx(float(row[column]), rel=1e-6)))
    return rows


def test_tensorboard_shows_what_results_csv_has_once_even_of_a_run_that_was_stopped(data: Path, big_files: Path) -> None:
    settings = config(
        data, "none", **NARROW, epochs=3, batch_size=1, precision="fp32", patience=0, batch_norm="frozen", tensorboard=True
    )
    whole = train(settings, None, big_files, Interruption())
    cut = trained_with_stops(settings, [STEPS_PER_EPOCH + 1, STEPS_PER_EPOCH], big_files)
    for run in (whole, cut):
        shown = scalars(run)
        assert {tag: shown[tag] for tag in COLUMNS} == results(run)
        assert [step for step, _ in shown["accuracy/val"]] == [1, 2, 3]
    assert scalars(whole)["loss/train"] == scalars(cut)["loss/train"]


def test_tags_are_recorded_by_their_own_figures(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, SETTINGS)
    with tensorboard_log(SETTINGS, run, 0) as log:
        log.epoch(TagEpochResult(1, "head", 0.1, 2.0, 0.7, 1.5, 0.8, 0.6, 3.0, 4.0))
    shown = scalars(run)
    assert shown["mean_average_precision/val"] == [(1, pytest.approx(0.8))]
    assert shown["tags_right/train"] == [(1, pytest.approx(0.7))]
    assert not [tag for tag in shown if tag.startswith("accuracy")]


def test_epochs_that_a_killed_run_had_recorded_and_not_saved_are_replaced(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, SETTINGS)
    with tensorboard_log(SETTINGS, run, 0) as log:
        for number in (1, 2, 3):
            log.epoch(epoch(number, 0.1 * number))
    with tensorboard_log(SETTINGS, run, 1) as log:
        for number in (2, 3):
            log.epoch(epoch(number, 0.2 * number))
    assert scalars(run)["macro_f1/val"] == [(1, pytest.approx(0.1)), (2, pytest.approx(0.4)), (3, pytest.approx(0.6))]


def test_an_epoch_is_on_disk_before_the_next_one_begins(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, SETTINGS)
    with tracked(SETTINGS, run, 0) as (log,):
        log.epoch(epoch(1, 0.5))
        assert scalars(run)["macro_f1/val"] == [(1, 0.5)]


def test_settings_are_hyper_parameters_of_the_run(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, SETTINGS)
    with tensorboard_log(SETTINGS, run, 0):
        pass
    recorded = b"".join(file.read_bytes() for file in run.tensorboard.iterdir())
    assert all(name.encode() in recorded for name in ("_hparams_/session_start_info", "learning_rate", "frozen_stages"))
    assert [file for file in run.tensorboard.iterdir() if file.is_dir()] == []


def test_nothing_is_recorded_that_was_not_asked_for(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"tensorboard": False})
    run = RunFolder.create(tmp_path, settings)
    with tracked(settings, run, 0) as trackers:
        assert trackers == []
    assert [file.name for file in run.path.iterdir()] == ["config.json"]


@pytest.mark.parametrize(("package", "remedy"), [("tensorboard", r"clipserve\[tracking\]"), ("mlflow", "mlflow-skinny")])
def test_a_library_that_is_not_there_is_told_before_anything_begins(
    package: str, remedy: str, data: Path, big_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as Python marks a package that cannot be imported
    with pytest.raises(CommandError, match=f"--{package}: the package '{package}' is not installed; `pip install '?{remedy}"):
        train(config(data, "none", **{package: True}), None, big_files, Interruption())
    assert list(big_files.iterdir()) == []


def test_a_run_that_goes_on_may_be_recorded_from_then_on(data: Path, big_files: Path) -> None:
    settings = config(data, "none", **NARROW, epochs=2, batch_size=1, batch_norm="frozen")
    with pytest.raises(KeyboardInterrupt):
        train(settings, None, big_files, _StopAfterFirstEpoch())
    cut = RunFolder(big_files / TINY["name"] / "1")
    assert clipserve.main(["train", "--resume", str(cut.path), "--tensorboard", "--no-publish"]) == 0
    assert [step for step, _ in scalars(cut)["loss/val"]] == [2]


class _StopAfterFirstEpoch(Interruption):
    """A signal in the second epoch."""

    def __init__(self) -> None:
        super().__init__()
        self._steps = 0

    def check(self, processes: Processes = ALONE) -> None:
        self._steps += 1
        self.requested = self._steps == STEPS_PER_EPOCH + 1
        super().check(processes)


def test_the_last_epoch_leaves_no_time(capsys: pytest.CaptureFixture[str]) -> None:
    pace = Pace(2)
    assert epoch(1, 0.5).line(2, pace.after_an_epoch()).endswith("10.0 clips/s  left 00:00")
    assert epoch(2, 0.5).line(2, pace.after_an_epoch()).endswith("10.0 clips/s")


def test_epochs_tell_the_time_that_is_left(data: Path, big_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(config(data, "none", **NARROW, epochs=2, head_epochs=1, head_views=1, patience=0), None, big_files, Interruption())
    head, first, second = (line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch "))
    assert ["left " in line for line in (head, first, second)] == [False, True, False]


def test_help_explains_each_preset_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        clipserve.main(["train", "--help"])
    out = capsys.readouterr().out
    for name in PRESETS:
        (line,) = (line for line in out.splitlines() if line.startswith(f"  {name} "))
        assert len(line.split()) > 5
