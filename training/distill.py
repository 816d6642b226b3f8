"""Pre-train ResNet-50 without ImageNet: teach it to compute what a small ImageNet network computes.

The student is asked for the teacher's feature map at each of its four stages and at the end, at every position, on random
views of the training clips' frames and, if given, of a folder of other pictures. Labels are not used. The result is a file of
weights with torchvision's names for `clipserve train --weights`. Interrupted, it goes on with --resume.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, get_args

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt, ValidationError
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from tqdm import tqdm

from clips.errors import CommandError, UsageError
from clips.manifest import TaskName
from training.dataset import read_dataset
from training.device import Device, choose_device
from training.optimiser import parameter_groups
from training.pictures import clip_frames, read_pictures
from training.split import split_dataset
from training.student import FeatureLoss, Student
from training.teacher import EfficientNetLite2
from training.views import Views
from training.weights import read_torch_file, save_torch_file

EXAMPLE = "clipserve distill clips.csv --pictures caltech101 --output runs/backbone"

# the four stages, the final map, and the pooled feature, which the classifier will read
_LOSS_WEIGHTS = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 2.0])


class Phase(BaseModel):
    """A stretch of the run at one resolution."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    until: PositiveFloat
    """Share of all views at which the phase ends, 0 to 1."""
    student_px: PositiveInt
    teacher_px: PositiveInt


class DistillConfig(BaseModel):
    """Everything that decides the result, beside the pictures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    frames_per_clip: PositiveInt = 32
    views: PositiveInt = 150_000
    batch_size: PositiveInt = 48
    learning_rate: PositiveFloat = 1e-3
    weight_decay: PositiveFloat = 0.02
    warmup_views: PositiveInt = 2_400
    decay_from: PositiveFloat = 0.6
    """Share of all views from which the learning rate falls in a line to a hundredth."""
    phases: tuple[Phase, ...] = (
        Phase(until=0.6, student_px=96, teacher_px=144),
        Phase(until=1.0, student_px=128, teacher_px=192),
    )
    seed: int = 0

    def phase(self, seen: int) -> Phase:
        """The phase of the batch that begins after ``seen`` views."""
        return next((phase for phase in self.phases if seen < phase.until * self.views), self.phases[-1])

    def rate(self, seen: int) -> float:
        """Learning rate at the batch that ends after ``seen`` views: warm-up, a plateau, and a line down to a hundredth."""
        fall = max(0.0, (seen / self.views - self.decay_from) / (1 - self.decay_from))
        return self.learning_rate * min(1.0, seen / self.warmup_views) * max(0.01, 1 - fall)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("data", type=Path, help="folder of class folders or CSV file; only its training part is used")
    parser.add_argument(
        "--task", choices=get_args(TaskName), default="single_label", help="what is in DATA (default: %(default)s)"
    )
    parser.add_argument("--pictures", type=Path, help="folder of other JPEG or PNG pictures, searched with its subfolders")
    parser.add_argument(
        "--output", type=Path, default=Path("runs/backbone"), help="folder for the weights (default: %(default)s)"
    )
    parser.add_argument("--config", type=Path, help="JSON file with the settings, as in a run's config.json")
    parser.add_argument("--views", type=int, help="pictures to learn from; overrides the settings")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --output")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to train (default: auto)")


def run(args: argparse.Namespace) -> None:
    """Distil, and write ``backbone.pt``.

    Raises: UsageError, CommandError: an input is missing or unusable, or the run exists already.
    """
    output: Path = args.output
    config = _settings(args)
    if args.resume != (output / "last.pt").exists():
        raise UsageError(
            f"{output}: " + ("there is no run to resume" if args.resume else "has a run; --resume it, or choose another")
        )
    device = choose_device(args.device)
    if device.precision == "fp16":  # its gradients would need to be scaled
        device = choose_device(args.device, "fp32")
    teacher = EfficientNetLite2()
    print(f"device: {device.note}", flush=True)
    dataset = split_dataset(read_dataset(args.data, args.task), config.seed)
    pictures = read_pictures(args.pictures) if args.pictures else []
    output.mkdir(parents=True, exist_ok=True)
    (output / "config.json").write_text(config.model_dump_json(indent=2) + "\n")
    frames = clip_frames(dataset.part("train"), config.frames_per_clip, output / "frames.dat")
    views = Views([frames, pictures], config.seed, device.torch_device)
    with (output / "results.csv").open("a", buffering=1) as results:
        student = Distillation(config, views, output / "last.pt", results, device).run(teacher)
    save_torch_file(student.backbone(), output / "backbone.pt")
    (output / "frames.dat").unlink()
    print(f"wrote {output}/backbone.pt; next: clipserve train {args.data} --weights {output}/backbone.pt --name NAME")


def _settings(args: argparse.Namespace) -> DistillConfig:
    try:
        config = DistillConfig.model_validate_json(args.config.read_bytes()) if args.config else DistillConfig()
    except (OSError, ValidationError) as problem:
        raise UsageError(f"--config {args.config} cannot be used: {problem}") from problem
    if args.views is not None and args.views < 1:
        raise UsageError(f"--views {args.views}: give 1 or more")
    return config.model_copy(update={"views": args.views}) if args.views else config


@dataclass
class Distillation:
    """One run."""

    config: DistillConfig
    views: Views
    last: Path
    """Where it exists, the run goes on from it."""
    results: TextIO
    """Receives CSV lines: views, learning rate, seconds, and the six shares of unexplained variance."""
    device: Device
    save_every_steps: int = 100
    """Steps between two writes of ``last`` and of a line of ``results``."""

    def run(self, teacher: EfficientNetLite2) -> Student:
        """Train a student until ``config.views`` pictures are seen. It comes back on the CPU.

        Raises: CommandError: the loss diverged.
        """
        config, device = self.config, self.device
        torch.manual_seed(config.seed)
        teacher.to(device.torch_device)
        student = Student().to(memory_format=torch.channels_last).to(device.torch_device)
        weights = _LOSS_WEIGHTS.to(device.torch_device)
        with device.autocast():
            loss_of = FeatureLoss([teacher(self.views.draw(64, config.phases[0].teacher_px)) for _ in range(8)])
        optimiser = AdamW(parameter_groups(student.parameters(), config.learning_rate, config.weight_decay))
        seen = self._resume(student, optimiser) if self.last.exists() else 0
        unexplained, began = torch.ones_like(weights), time.monotonic()
        for step, phase in self._steps(seen):
            seen = step * config.batch_size
            for group in optimiser.param_groups:
                group["lr"] = config.rate(seen)
            batch = self.views.draw(config.batch_size, phase.teacher_px)
            small = F.interpolate(batch, size=(phase.student_px,) * 2, mode="bilinear", antialias=True)
            with device.autocast():
                losses = loss_of(student(small), teacher(batch))
            loss = (losses * weights).sum()
            if not math.isfinite(loss.item()):
                raise CommandError("the loss is no longer a number; lower learning_rate in the file for --config")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(student.parameters(), 5.0)
            optimiser.step()
            unexplained = 0.98 * unexplained + 0.02 * losses.detach()
            if step % self.save_every_steps == 0 or seen >= config.views:
                self._save(student, optimiser, seen)
                self._record(seen, time.monotonic() - began, unexplained)
        student.cpu()
        return student

    def _steps(self, seen: int) -> Iterator[tuple[int, Phase]]:
        """Number and phase of each step that is left, with a progress bar in views."""
        size = self.config.batch_size
        with tqdm(total=self.config.views, initial=seen, unit="view", smoothing=0.05, disable=None) as bar:
            for start in range(seen, self.config.views, size):
                yield start // size + 1, self.config.phase(start)
                bar.update(size)

    def _record(self, seen: int, seconds: float, unexplained: Tensor) -> None:
        shares = (f"{share:.4f}" for share in unexplained.tolist())
        row = [str(seen), f"{self.config.rate(seen):.2e}", f"{seconds:.0f}", *shares]
        self.results.write(",".join(row) + "\n")

    def _save(self, student: Student, optimiser: Optimizer, seen: int) -> None:
        random = json.dumps(self.views.random.bit_generator.state)
        state = {"student": student.state_dict(), "optimiser": optimiser.state_dict(), "views_random": random, "seen": seen}
        save_torch_file(state, self.last)

    def _resume(self, student: Student, optimiser: Optimizer) -> int:
        state: dict[str, object] = dict(read_torch_file(self.last))
        student.load_state_dict(state["student"])  # type: ignore[arg-type]
        optimiser.load_state_dict(state["optimiser"])  # type: ignore[arg-type]
        self.views.random.bit_generator.state = json.loads(str(state["views_random"]))
        return int(str(state["seen"]))
