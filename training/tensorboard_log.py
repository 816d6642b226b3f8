"""The one module that knows TensorBoard: a folder ``tensorboard`` in the run's own, with scalars and settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from training.config import TrainingConfig
from training.history import AnyEpochResult
from training.run_folder import RunFolder

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_NOT_SCALARS = ("epoch", "stage")
_OUTCOME = "macro_f1/val"


class TensorBoardLog:
    """``loss/train``, ``loss/val`` and so on, over the epochs."""

    def __init__(self, writer: "SummaryWriter") -> None:
        self._writer = writer

    def epoch(self, result: AnyEpochResult) -> None:
        """On disk when it returns."""
        for name, value in asdict(result).items():
            if name not in _NOT_SCALARS:
                self._writer.add_scalar(_tag(name), value, result.epoch)
        self._writer.flush()


@contextmanager
def tensorboard_log(config: TrainingConfig, run: RunFolder, epochs_done: int) -> Iterator[TensorBoardLog]:
    """Goes on after ``epochs_done``: later ones that an interrupted run has left there no longer count."""
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 only where it is asked for
    from torch.utils.tensorboard.summary import hparams  # noqa: PLC0415

    with SummaryWriter(str(run.tensorboard), purge_step=epochs_done + 1) as writer:
        if not epochs_done:
            # add_hparams would make a run of its own
            for summary in hparams(config.model_dump(mode="json"), {_OUTCOME: 0.0}):  # type: ignore[no-untyped-call]
                writer.file_writer.add_summary(summary)
        yield TensorBoardLog(writer)


def _tag(name: str) -> str:
    """train_loss -> loss/train: TensorBoard draws what has one beginning side by side."""
    part, _, figure = name.partition("_")
    return f"{figure}/{part}" if part in {"train", "val"} else f"run/{name}"
