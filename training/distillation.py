"""The loop of the distillation from an image network, from top to bottom.

Every view depends on the random state that is saved with the weights, so a run that was interrupted and resumed equals one that
was not.
"""

import json
import math
import time
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW
from tqdm import tqdm

from clips.errors import CommandError
from training.device import Device
from training.distill_config import DistillConfig
from training.interruption import Interruption
from training.optimiser import parameter_groups
from training.run_folder import RunFolder
from training.student import FeatureLoss, Student
from training.teacher import EfficientNetLite2
from training.views import Views
from training.weights import read_torch_file, save_torch_file

LOSS_WEIGHTS = {"stage_1": 1.0, "stage_2": 1.0, "stage_3": 1.0, "stage_4": 1.0, "final_map": 1.0, "pooled_feature": 2.0}
"""Of the shares of the teacher's variance that are left unexplained; the classifier will read the pooled feature."""
STEPS_PER_ROW = 100
"""Of ``results.csv``: figures are means over them."""
_SAVE_EVERY_SECONDS = 60.0
_LARGEST_GRADIENT = 5.0


@dataclass
class Distillation:
    """One run."""

    config: DistillConfig
    teacher: EfficientNetLite2
    views: Views
    source: str
    """What the views are drawn from: a run that goes on must have the same."""
    device: Device
    run: RunFolder
    interruption: Interruption
    rows: list[dict[str, float]] = field(default_factory=list)
    """Of ``results.csv``: views, learning rate, seconds, and what is left unexplained."""

    def __post_init__(self) -> None:
        config, where = self.config, self.device.torch_device
        torch.manual_seed(config.seed)
        self.teacher.to(where)
        self.student = Student(config.backbone).to(memory_format=torch.channels_last).to(where)
        with self.device.autocast():
            self.loss_of = FeatureLoss([self.teacher(self.views.draw(64, config.teacher_px(0))) for _ in range(8)])
        self.optimiser = AdamW(parameter_groups(self.student.parameters(), config.learning_rate, config.weight_decay))
        self.weights = torch.tensor(list(LOSS_WEIGHTS.values()), device=where)
        self.steps, self.row_steps, self.row_seconds = 0, 0, 0.0
        self.row_losses = torch.zeros_like(self.weights)

    def fit(self) -> None:
        """Train until ``config.views`` are seen; where ``last.pt`` is there, from it on.

        Raises: KeyboardInterrupt: a signal came; ``last.pt`` has all up to its step. CommandError: the loss diverged.
        """
        if self.run.last.exists():
            self._resume()
        total, saved = math.ceil(self.config.views / self.config.batch_size), time.monotonic()
        with tqdm(total=total, initial=self.steps, unit="step", smoothing=0.05, disable=None) as bar:
            while self.steps < total:
                self._step()
                if self.row_steps == STEPS_PER_ROW or self.steps == total:
                    self._record(bar)
                bar.update()
                self._check_interruption()
                if time.monotonic() - saved > _SAVE_EVERY_SECONDS:
                    self._save()
                    saved = time.monotonic()
        self._save()

    def backbone(self) -> dict[str, Tensor]:
        """Weights under torchvision's names, for ``clipserve train --weights``."""
        return {name: value.cpu() for name, value in self.student.backbone().items()}

    def _step(self) -> None:
        config, began, before = self.config, time.perf_counter(), self.steps * self.config.batch_size
        for group in self.optimiser.param_groups:
            group["lr"] = config.rate(before + config.batch_size)
        batch = self.views.draw(config.batch_size, config.teacher_px(before))
        small = F.interpolate(batch, size=(config.student_px(before),) * 2, mode="bilinear", antialias=True)
        with self.device.autocast():
            losses = self.loss_of(self.student(small), self.teacher(batch))
        loss = (losses * self.weights).sum()
        if not math.isfinite(loss.item()):
            raise CommandError("the loss is no longer a number; lower --learning-rate")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), _LARGEST_GRADIENT)
        self.optimiser.step()
        self.steps += 1
        self.row_steps += 1
        self.row_losses += losses.detach()
        self.row_seconds += time.perf_counter() - began

    def _record(self, bar: "tqdm[Any]") -> None:
        """A line in ``results.csv``, with means over the steps since the last one."""
        views = self.steps * self.config.batch_size
        shares = (self.row_losses / self.row_steps).tolist()
        row = {"views": views, "learning_rate": self.config.rate(views), "seconds": round(self.row_seconds, 1)}
        self.rows.append(row | {name: round(share, 4) for name, share in zip(LOSS_WEIGHTS, shares, strict=True)})
        self.run.write_results(self.rows)
        bar.set_postfix_str(f"pooled feature unexplained {shares[-1]:.1%}", refresh=False)
        self.row_steps, self.row_seconds = 0, 0.0
        self.row_losses.zero_()

    def _check_interruption(self) -> None:
        try:
            self.interruption.check()
        except KeyboardInterrupt:
            self._save()
            raise

    def _save(self) -> None:
        """``last.pt`` by one atomic rename."""
        state = {
            "source": self.source,
            "student": self.student.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "views_random": json.dumps(self.views.random.bit_generator.state),
            "steps": self.steps,
            "row": (self.row_steps, self.row_seconds, self.row_losses),
            "rows": self.rows,
        }
        save_torch_file(state, self.run.last)

    def _resume(self) -> None:
        """Everything as it was.

        Raises: CommandError: the pictures are others now, or ``last.pt`` was written by another version.
        """
        state: dict[str, Any] = dict(read_torch_file(self.run.last))
        if state.get("source") != self.source:
            raise CommandError(
                f"the clips of {self.config.data} or the pictures have changed since the run began; start a new run"
            )
        try:
            self.student.load_state_dict(state["student"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.views.random.bit_generator.state = json.loads(state["views_random"])
            self.row_steps, self.row_seconds, row_losses = state["row"]
            self.row_losses.copy_(row_losses)
            self.steps, self.rows = state["steps"], state["rows"]
        except (KeyError, TypeError, ValueError, RuntimeError) as problem:
            raise CommandError(f"{self.run.last} does not fit the settings of the run; start a new run") from problem
