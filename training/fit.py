"""The training loop, from top to bottom.

Every step seeds itself from (seed, epoch, step), so a run that was interrupted, anywhere, and resumed equals one that was not.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from clips.errors import CommandError
from training.checkpoint import Checkpoint
from training.config import TrainingConfig
from training.device import Device
from training.feature_batches import Feeds
from training.feeding import Batch
from training.history import Tally
from training.interruption import Interruption
from training.model import VideoClassifier
from training.optimiser import freeze
from training.pace import Pace
from training.prediction import predict
from training.processes import ALONE, Processes
from training.record import Record
from training.replica import Replica
from training.stages import Stage, head_stage, main_stage
from training.task import TASKS, AnyLoss, AnyMetrics
from training.time_limit import TimeLimit
from training.trained_teacher import Teacher
from training.training_state import restore, training_state


@dataclass
class Fit:
    """One run: what is trained, on what, and where it is recorded."""

    model: VideoClassifier
    feeds: Feeds
    losses: Mapping[str, AnyLoss]
    """By stage."""
    config: TrainingConfig
    device: Device
    interruption: Interruption
    record: Record
    teacher: Teacher | None = None
    processes: Processes = ALONE

    def __post_init__(self) -> None:
        self.scaler = self.device.scaler()
        self.task = TASKS[self.config.task]
        self.time_limit = TimeLimit(self.config.hours, self.record.history, self.processes)

    def fit(self, resumed: Checkpoint | None = None) -> None:
        """Train until the last epoch, or until the score stops rising; ``resumed`` is the ``last.pt`` to go on from.

        Raises: KeyboardInterrupt: a signal came; ``last.pt`` has all up to its step, but for the head stage, which
            is begun anew. CommandError: the loss diverged.
        """
        if self.record.history.epoch < self.config.head_epochs:
            self._run_stage(head_stage(self.model, self.feeds, self.config, self.device, self.interruption.check))
        stage = main_stage(self.model, self.feeds, self.config)
        begun = None
        if resumed is not None and "optimiser" in resumed.training:
            begun = restore(resumed, stage, self.scaler, self.model)
        self._run_stage(stage, begun)

    def _run_stage(self, stage: Stage, begun: Tally | None = None) -> None:
        """All epochs that are left; ``begun``: what was done of the first of them."""
        epochs = stage.epochs[max(0, self.record.history.epoch + 1 - stage.epochs.start) :]
        pace = Pace(len(epochs))
        for epoch in epochs:
            if stage.patience and self.record.history.epochs_without_gain(stage.name) >= stage.patience:
                print(f"{self.task.epoch_result.SCORE} has not risen for {stage.patience} epochs: stopping early", flush=True)
                break
            if self.time_limit.ends_before_another_epoch(stage.name):
                print(f"the next epoch would not end within --hours {self.config.hours:g}: stopping", flush=True)
                break
            tally, begun = begun or Tally(), None
            self._train_epoch(stage, epoch, tally)
            with stage.validated_weights(self.model) as own_weights:
                self._record(stage, epoch, tally, self._validate(stage), pace)
                if stage.saves_every_epoch:
                    self._save_last(stage, own_weights, Tally())
        if not stage.saves_every_epoch:
            self.record.save_last(self.model, {})
        self.interruption.check(self.processes)  # a signal during the last validation

    def _train_epoch(self, stage: Stage, epoch: int, tally: Tally) -> None:
        """The steps that are left of an epoch, into ``tally``. Raises: KeyboardInterrupt: a signal came; the step is saved."""
        frozen = stage.frozen_stages(epoch - stage.epochs.start)
        freeze(self.model, frozen)
        self.model.train_mode(stage.batch_norm, frozen)
        processes = stage.train.processes
        replica = Replica(self.model, self._logits_and_loss, processes)
        steps_before = (epoch - stage.epochs.start) * stage.steps
        with self._bar(stage, epoch, tally.steps) as bar:
            before = time.perf_counter()
            for batch in stage.train.one_pass([self.config.seed, epoch], start=tally.steps):
                torch.manual_seed(_step_seed(self.config.seed, epoch, tally.steps, processes.rank))
                stage.schedule.set(steps_before + tally.steps // stage.accumulate_steps, self.time_limit.share(tally))
                loss, correct, clips = self._step(replica, stage, batch, tally.steps)
                now = time.perf_counter()
                tally.add(loss, correct, clips, now - before)
                before = now
                bar.set_postfix_str(tally.line(), refresh=False)
                bar.update()
                if stage.ends_step(tally.steps - 1):  # gradients of half a step are not saved
                    self._check_interruption(stage, tally)

    def _check_interruption(self, stage: Stage, tally: Tally) -> None:
        try:
            self.interruption.check(self.processes)
        except KeyboardInterrupt:
            if stage.saves_every_epoch:
                with stage.validated_weights(self.model) as own_weights:
                    self._save_last(stage, own_weights, tally)
            raise

    def _step(self, replica: Replica, stage: Stage, batch: Batch, number: int) -> tuple[float, float, int]:
        """One batch, and a step of the optimiser where its turn has come.

        Returns the mean loss, the clips that were right and all clips, of all processes that share the batch.
        """
        with replica.accumulating(ends=stage.ends_step(number)):
            logits, loss = replica(stage, batch)
            own = len(batch.targets) if batch.counts else 0
            right = self.task.right(logits, batch.targets) if own else 0
            loss_sum, correct, clips = stage.train.processes.sums(loss.item() * own, right, own)
            if not math.isfinite(loss_sum):
                raise CommandError("the loss is no longer a number; lower --learning-rate or use --precision fp32")
            if number % stage.accumulate_steps == 0:
                stage.optimiser.zero_grad(set_to_none=True)
            share = own * stage.train.processes.size / stage.clips_in_step(number)  # gradients become a mean over processes
            self.scaler.scale(loss * share).backward()  # type: ignore[no-untyped-call]
        if stage.ends_step(number):
            self._end_step(stage)
        return loss_sum / clips, correct, int(clips)

    def _end_step(self, stage: Stage) -> None:
        if self.config.gradient_clip:
            self.scaler.unscale_(stage.optimiser)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        self.scaler.step(stage.optimiser)
        self.scaler.update()
        stage.train.processes.average(self.model.learned_statistics())
        if stage.average:
            stage.average.update(self.model)

    def _logits_and_loss(self, stage: Stage, batch: Batch) -> tuple[Tensor, Tensor]:
        """(batch, labels), and what is to be made small, from the labels and, where there is one, the teacher."""
        loss = self.losses[stage.name]
        if self.teacher is None or batch.all_frames is None:
            with self.device.autocast():
                logits = stage.forward(batch.inputs).float()
            return logits, loss(logits, batch.targets)
        with self.device.autocast():
            features = self.model.embedding(self.model.features(batch.inputs))
            logits = self.model.head(self.model.dropout(features)).float()
        label_loss = loss(logits, batch.targets)
        return logits, self.teacher.loss(label_loss, logits, features.float(), batch.all_frames)

    def _validate(self, stage: Stage) -> AnyMetrics:
        self.model.eval()
        probabilities, truth = predict(stage.val, stage.forward, self.device, self.task)
        return self.processes.from_first(lambda: self.task.measure(probabilities, truth, self.record.template.labels))

    def _record(self, stage: Stage, epoch: int, tally: Tally, metrics: AnyMetrics, pace: Pace) -> None:
        rate = max(group["lr"] for group in stage.optimiser.param_groups)
        of_epoch = self.task.epoch_result.of
        result = self.processes.from_first(lambda: of_epoch(epoch, stage.name, rate, tally, metrics))  # type: ignore[arg-type]
        print(result.line(self.config.total_epochs, self._left(stage, pace)), flush=True)
        may_be_best = stage.saves_every_epoch or epoch == stage.epochs[-1]
        self.record.add(result, self.model, metrics if may_be_best else None)

    def _left(self, stage: Stage, pace: Pace) -> str:
        """Unknown while a stage is still to come whose epochs take longer."""
        left = pace.after_an_epoch()
        return left if stage.epochs.stop > self.config.total_epochs else ""

    def _save_last(self, stage: Stage, own_weights: dict[str, Tensor], tally: Tally) -> None:
        """Called while the averaged weights are in the model; ``tally``: what was done of the next epoch."""
        self.record.save_last(self.model, training_state(stage, self.scaler, own_weights, tally))

    def _bar(self, stage: Stage, epoch: int, done: int) -> "tqdm[NoReturn]":
        title = f"epoch {epoch}/{self.config.total_epochs} {stage.name}"
        return tqdm(total=len(stage.train), initial=done, desc=title, unit="batch", disable=None, leave=False)


def _step_seed(*numbers: int) -> int:
    """Of dropout and whatever else torch draws in one step."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
