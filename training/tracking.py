"""Records of a run beside ``results.csv``: TensorBoard's files, MLflow's server. One module alone knows each library."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import Protocol

from clips.errors import CommandError
from training.config import TrainingConfig
from training.history import AnyEpochResult
from training.mlflow_log import mlflow_log
from training.processes import ALONE, Processes
from training.run_folder import RunFolder
from training.tensorboard_log import tensorboard_log


class Tracker(Protocol):
    """Told of each epoch when it is done."""

    def epoch(self, result: AnyEpochResult) -> None:
        """Record it; an epoch that is told again replaces the one before."""


def check_trackers(config: TrainingConfig) -> None:
    """Raises: CommandError: the library of one that is asked for is not installed."""
    for flag, package in (("tensorboard", "tensorboard"), ("mlflow", "mlflow")):
        if getattr(config, flag) and find_spec(package) is None:
            remedy = "pip install mlflow-skinny" if flag == "mlflow" else "pip install 'clipserve[tracking]'"
            raise CommandError(f"--{flag}: the package {package!r} is not installed; `{remedy}`, or leave the flag out")


@contextmanager
def tracked(
    config: TrainingConfig, run: RunFolder, epochs_done: int, processes: Processes = ALONE
) -> Iterator[Sequence[Tracker]]:
    """Those that ``config`` asks for, in the first process; ``epochs_done`` before this run went on.

    Raises: CommandError: one of them cannot be opened.
    """
    with ExitStack() as opened:
        yield processes.together(lambda: _opened(config, run, epochs_done, opened) if processes.is_first else [])


def _opened(config: TrainingConfig, run: RunFolder, epochs_done: int, opened: ExitStack) -> list[Tracker]:
    trackers: list[Tracker] = []
    if config.tensorboard:
        trackers.append(opened.enter_context(tensorboard_log(config, run, epochs_done)))
    if config.mlflow:
        trackers.append(opened.enter_context(mlflow_log(config, run)))
    return trackers
