"""The training loop, from top to bottom.

Every epoch seeds itself from (seed, epoch), so a run that was interrupted and resumed equals one that was not.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from clips.errors import CommandError
from training.checkpoint import Checkpoint
from training.config import TrainingConfig
from training.device import Device
from training.feeding import Batch, Batches
from training.history import EpochResult, History, Tally
from training.interruption import Interruption
from training.metrics import Metrics, measure
from training.model import VideoClassifier
from training.run_folder import RunFolder
from training.stages import Feeds, Stage, head_stage, main_stage


@dataclass
class Fit:
    """One run: what is trained, on what, and where it is recorded."""

    model: VideoClassifier
    feeds: Feeds
    class_weights: Tensor | None
    """(labels,), or None where all count the same."""
    template: Checkpoint
    """Labels, spec, settings and origin for the checkpoints."""
    config: TrainingConfig
    device: Device
    run: RunFolder
    interruption: Interruption
    history: History

    def fit(self, resumed: Checkpoint | None = None) -> None:
        """Train until the last epoch, or until macro-F1 stops rising; ``resumed`` is the ``last.pt`` to go on from.

        Raises: KeyboardInterrupt: a signal came; ``last.pt`` has the last complete epoch. CommandError: the loss diverged.
        """
        if self.history.epoch < self.config.head_epochs:
            self._run_stage(head_stage(self.model, self.feeds, self.config, self.device, self.interruption.check))
        stage = main_stage(self.model, self.feeds, self.config)
        if resumed is not None and "optimiser" in resumed.training:
            self._restore(stage, resumed)
        self._run_stage(stage)

    def _run_stage(self, stage: Stage) -> None:
        for epoch in stage.epochs[max(0, self.history.epoch + 1 - stage.epochs.start) :]:
            if stage.patience and self.history.epochs_without_gain(stage.name) >= stage.patience:
                print(f"macro-F1 has not risen for {stage.patience} epochs: stopping early", flush=True)
                break
            tally = self._train_epoch(stage, epoch)
            with stage.validated_weights(self.model) as own_weights:
                self._record(stage, epoch, tally, self._validate(stage))
                if stage.saves_every_epoch:
                    self._save_last(stage, own_weights)
        if not stage.saves_every_epoch:
            self._checkpoint({"results": self.history.rows()}, {}).save(self.run.last)

    def _train_epoch(self, stage: Stage, epoch: int) -> Tally:
        torch.manual_seed(self.config.seed * 1_000_003 + epoch)
        self.model.train_with_frozen_statistics(stage.frozen_statistics)
        step = (epoch - stage.epochs.start) * len(stage.train)
        tally = Tally(time.perf_counter())
        with self._bar(stage, epoch) as bar:
            for batch in stage.train.one_pass([self.config.seed, epoch]):
                stage.schedule.set(step)
                loss, correct = self._step(stage, batch)
                tally.add(loss, correct, len(batch.targets), time.perf_counter())
                bar.set_postfix_str(tally.line(), refresh=False)
                bar.update()
                self.interruption.check()
                step += 1
        return tally

    def _step(self, stage: Stage, batch: Batch) -> tuple[float, int]:
        """One step of the optimiser; returns the loss and the number of clips that were right."""
        with self.device.autocast():
            logits = stage.forward(batch.inputs).float()
        loss = F.cross_entropy(logits, batch.targets, self.class_weights, label_smoothing=self.config.label_smoothing)
        stage.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.config.gradient_clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        stage.optimiser.step()
        if stage.average:
            stage.average.update(self.model)
        if not math.isfinite(loss.item()):
            raise CommandError("the loss is no longer a number; lower --learning-rate or use --precision fp32")
        return loss.item(), int((logits.argmax(dim=1) == batch.targets).sum())

    def _validate(self, stage: Stage) -> Metrics:
        self.model.eval()
        return measure(*predict(stage.val, stage.forward, self.device), self.template.labels)

    def _record(self, stage: Stage, epoch: int, tally: Tally, metrics: Metrics) -> None:
        """A line on the terminal and in ``results.csv``; ``best.pt`` where this epoch is the best."""
        rate = max(group["lr"] for group in stage.optimiser.param_groups)
        result = EpochResult.of(epoch, stage.name, rate, tally, metrics)
        print(result.line(self.config.total_epochs), flush=True)
        self.history.results.append(result)
        if self.history.best is result and (stage.saves_every_epoch or epoch == stage.epochs[-1]):
            self._checkpoint({}, metrics.headline()).save(self.run.best)
        self.run.write_results(self.history.rows())

    def _save_last(self, stage: Stage, own_weights: dict[str, Tensor]) -> None:
        """Called while the averaged weights are in the model; ``own_weights`` are those that training goes on with."""
        state = {"optimiser": stage.optimiser.state_dict(), "own_weights": own_weights}
        steps = stage.average.steps if stage.average else 0
        self._checkpoint({"results": self.history.rows(), "average_steps": steps, **state}, {}).save(self.run.last)

    def _restore(self, stage: Stage, resumed: Checkpoint) -> None:
        stage.optimiser.load_state_dict(resumed.training["optimiser"])
        if stage.average:
            stage.average.restore(resumed.model, resumed.training["average_steps"])
            self.model.load_state_dict(resumed.training["own_weights"])

    def _checkpoint(self, training: dict[str, object], metrics: dict[str, float]) -> Checkpoint:
        changed = {"model": self.model.state_dict(), "epoch": self.history.epoch, "metrics": metrics, "training": training}
        return Checkpoint(**{**vars(self.template), **changed})

    def _bar(self, stage: Stage, epoch: int) -> "tqdm[NoReturn]":
        title = f"epoch {epoch}/{self.config.total_epochs} {stage.name}"
        return tqdm(total=len(stage.train), desc=title, unit="batch", disable=None, leave=False)


@torch.no_grad()
def predict(
    batches: Batches, forward: Callable[[Tensor], Tensor], device: Device
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities (clips, labels) and label indices (clips,), in the order of the clips."""
    probabilities, targets = [], []
    for batch in batches.one_pass(()):
        with device.autocast():
            logits = forward(batch.inputs)
        probabilities.append(logits.float().softmax(dim=1).cpu().numpy())
        targets.append(batch.targets.cpu().numpy())
    return np.concatenate(probabilities), np.concatenate(targets)
