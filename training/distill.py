"""Pre-train a ResNet without ImageNet: teach it to compute what a small ImageNet network computes.

The student is asked for the teacher's feature map at each of its four stages and at the end, at every position, on random
views of the training clips' frames and, if given, of a folder of other pictures. Labels are not used. The result is a file of
weights with torchvision's names for `clipserve train --weights`. Interrupted, it goes on with --resume.
"""

import argparse
import csv
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, get_args

import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from tqdm import tqdm

from clips.errors import CommandError, UsageError
from clips.manifest import TaskName
from training.config_file import config_text, read_config_file
from training.dataset import read_dataset
from training.device import Device, choose_device
from training.distill_config import DistillConfig
from training.flags import add_config_flags, chosen_settings, wrong_setting
from training.optimiser import parameter_groups
from training.pictures import clip_frames, read_pictures
from training.plots import Curve, curves_figure
from training.processes import check_alone
from training.run_folder import RunFolder
from training.split import split_dataset
from training.student import FeatureLoss, Student
from training.teacher import EfficientNetLite2
from training.views import Views
from training.weights import read_torch_file, save_torch_file

EXAMPLE = "clipserve distill clips.csv --pictures caltech101 --output runs/backbone"

_UNEXPLAINED = {"stage 1": 1.0, "stage 2": 1.0, "stage 3": 1.0, "stage 4": 1.0, "final map": 1.0, "pooled feature": 2.0}
"""What the teacher's share of is left, each with its weight in the loss; the classifier will read the pooled feature."""
COLUMNS = ("views", "learning_rate", "seconds", *_UNEXPLAINED)
"""Of ``results.csv``."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "data", type=Path, nargs="?", metavar="DATA", help="folder of class folders or CSV file; only its training part is used"
    )
    parser.add_argument(
        "--task", choices=get_args(TaskName), default="single_label", help="what is in DATA (default: %(default)s)"
    )
    parser.add_argument("--pictures", type=Path, help="folder of other JPEG or PNG pictures, searched with its subfolders")
    parser.add_argument(
        "--output", type=Path, default=Path("runs/backbone"), help="folder for the weights (default: %(default)s)"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as TOML; flags count more")
    parser.add_argument("--print-config", action="store_true", help="print the settings as a file for --config, and stop")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --output, with its settings")
    add_config_flags(parser, DistillConfig, "settings (defaults in brackets)")


def run(args: argparse.Namespace) -> None:
    """Distil, and write ``backbone.pt``.

    Raises: UsageError, CommandError: an input is missing or unusable, or the run exists already.
    """
    if args.print_config:
        print(config_text(_new_config(args), "clipserve distill DATA --config THIS_FILE"), end="")
        return
    check_alone("distill")
    if args.data is None:
        raise UsageError("give DATA, a folder of class folders or a CSV file")
    folder = RunFolder(args.output)
    config = _resumed(args, folder) if args.resume else _new_config(args)
    if not args.resume and folder.config.exists():
        raise UsageError(f"{folder.path} has a run; --resume it, or choose another --output")
    device = choose_device(config.device)
    if device.precision == "fp16":  # its gradients would need to be scaled
        device = choose_device(config.device, "fp32")
    teacher = EfficientNetLite2()
    print(f"device: {device.note}", flush=True)
    dataset = split_dataset(read_dataset(args.data, args.task), config.seed)
    pictures = read_pictures(args.pictures) if args.pictures else []
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.config.write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    with folder.frame_files() as files:
        frames = clip_frames(dataset.part("train"), config.frames_per_clip, files / "frames.dat")
        views = Views([frames, pictures], config.seed, device.torch_device)
        with folder.results.open("a", buffering=1, encoding="utf-8") as results:
            if not results.tell():
                print(*COLUMNS, sep=",", file=results)
            student = _run_or_say_how_to_resume(Distillation(config, views, folder.last, results, device), teacher)
    save_torch_file(student.backbone(), folder.backbone)
    _write_curves(folder)
    backbone = "" if config.backbone == "resnet50" else f" --backbone {config.backbone}"
    print(f"wrote {folder.backbone}; next: clipserve train {args.data} --weights {folder.path}{backbone} --name NAME")


def _new_config(args: argparse.Namespace) -> DistillConfig:
    """Defaults, then the file, then the flags."""
    chosen = read_config_file(args.config, DistillConfig, "distill") if args.config else {}
    try:
        return DistillConfig(**(chosen | chosen_settings(args, DistillConfig)))
    except ValidationError as problem:
        raise wrong_setting(problem) from problem


def _resumed(args: argparse.Namespace, folder: RunFolder) -> DistillConfig:
    """Only where to compute may change; everything else comes from the run."""
    if not folder.config.exists():
        raise UsageError(f"{folder.path}: there is no run to resume")
    if folder.backbone.exists():
        raise CommandError(
            f"the run in {folder.path} is complete; start from it with `clipserve train --weights {folder.path}`"
        )
    config, chosen = folder.settings(DistillConfig), chosen_settings(args, DistillConfig)
    fixed = sorted(chosen.keys() - {"device"})
    if fixed or args.config:
        name = fixed[0].replace("_", "-") if fixed else "config"
        raise UsageError(f"--resume takes its settings from the run; leave out --{name}")
    return config.model_copy(update=chosen)


def _write_curves(folder: RunFolder) -> None:
    with folder.results.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    views = [int(row["views"]) for row in rows]
    curves = [Curve(name, views, [float(row[name]) for row in rows]) for name in _UNEXPLAINED]
    curves_figure(curves, "share of the teacher's variance that is left unexplained", "views").savefig(folder.curves, dpi=130)


def _run_or_say_how_to_resume(work: "Distillation", teacher: EfficientNetLite2) -> Student:
    try:
        return work.run(teacher)
    except KeyboardInterrupt:
        print("stopped; go on with the same command, without settings and with --resume", flush=True)
        raise


@dataclass
class Distillation:
    """One run."""

    config: DistillConfig
    views: Views
    last: Path
    """Where it exists, the run goes on from it."""
    results: TextIO
    """Receives lines of ``COLUMNS``."""
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
        student = Student(config.backbone).to(memory_format=torch.channels_last).to(device.torch_device)
        weights = torch.tensor(list(_UNEXPLAINED.values()), device=device.torch_device)
        with device.autocast():
            loss_of = FeatureLoss([teacher(self.views.draw(64, config.teacher_px(0))) for _ in range(8)])
        optimiser = AdamW(parameter_groups(student.parameters(), config.learning_rate, config.weight_decay))
        seen = self._resume(student, optimiser) if self.last.exists() else 0
        unexplained, began = torch.ones_like(weights), time.monotonic()
        for begun, step in self._steps(seen):
            seen = step * config.batch_size
            for group in optimiser.param_groups:
                group["lr"] = config.rate(seen)
            batch = self.views.draw(config.batch_size, config.teacher_px(begun))
            small = F.interpolate(batch, size=(config.student_px(begun),) * 2, mode="bilinear", antialias=True)
            with device.autocast():
                losses = loss_of(student(small), teacher(batch))
            loss = (losses * weights).sum()
            if not math.isfinite(loss.item()):
                raise CommandError("the loss is no longer a number; lower --learning-rate")
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

    def _steps(self, seen: int) -> Iterator[tuple[int, int]]:
        """Views before each step that is left, and its number; with a progress bar in views."""
        size = self.config.batch_size
        with tqdm(total=self.config.views, initial=seen, unit="view", smoothing=0.05, disable=None) as bar:
            for start in range(seen, self.config.views, size):
                yield start, start // size + 1
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
