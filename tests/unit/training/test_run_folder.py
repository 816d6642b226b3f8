"""Run folders and interruption."""

import os
import signal
from pathlib import Path

import pytest

from clips.errors import CommandError, UsageError
from training.history import EpochResult, History
from training.interruption import Interruption
from training.presets import resolve_config
from training.run_folder import RunFolder, check_resumable

CONFIG = resolve_config("finetune", {"name": "m", "dataset": "clips"})


def epoch(number: int, macro_f1: float, loss: float = 1.0, stage: str = "main") -> EpochResult:
    return EpochResult(number, stage, 0.1, 1.0, 0.5, loss, 0.5, macro_f1, 1.0, 10.0)


def test_runs_are_numbered_and_never_overwritten(tmp_path: Path) -> None:
    assert [RunFolder.create(tmp_path, CONFIG).path.name for _ in range(3)] == ["1", "2", "3"]


def test_settings_come_back_from_the_folder(tmp_path: Path) -> None:
    assert RunFolder.open(RunFolder.create(tmp_path, CONFIG).path)[1] == CONFIG


def test_a_folder_that_is_no_run_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no run folder"):
        RunFolder.open(tmp_path)


def test_a_complete_run_is_not_resumed(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, CONFIG)
    check_resumable(run)
    run.write_summary({})
    with pytest.raises(CommandError, match="is complete"):
        check_resumable(run)


def test_the_best_epoch_has_the_highest_macro_f1_then_the_lowest_loss() -> None:
    history = History()
    history.results = [epoch(1, 0.5), epoch(2, 0.4), epoch(3, 0.5, loss=0.9)]
    assert history.best.epoch == 3


def test_a_half_trained_head_is_never_the_best() -> None:
    history = History()
    history.results = [epoch(1, 0.9, stage="head"), epoch(2, 0.5, stage="head"), epoch(3, 0.4)]
    assert history.best.epoch == 2


def test_patience_counts_within_a_stage() -> None:
    history = History()
    for number, (score, stage) in enumerate([(0.9, "head"), (0.5, "main"), (0.6, "main"), (0.6, "main")], start=1):
        history.results.append(epoch(number, score, stage=stage))
    assert history.epochs_without_gain("main") == 1


def test_results_come_back_from_rows() -> None:
    history = History([epoch(1, 0.5).__dict__])
    assert (history.epoch, history.rows()) == (1, [epoch(1, 0.5).__dict__])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_waits_for_the_batch_and_the_second_does_not(number: signal.Signals) -> None:
    with Interruption().handled() as interruption, interruption.deferred():
        os.kill(os.getpid(), number)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            interruption.check()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_outside_the_loop_a_signal_stops_at_once() -> None:
    with Interruption().handled(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
