"""Pre-train ResNet-50 without ImageNet: teach it to compute what a small ImageNet network computes.

The student is asked for the teacher's feature map at each of its four stages and at the end, at every position, on random
views of the training clips' frames and, if given, of a folder of other pictures. Labels are not used. The result is a file of
weights with torchvision's names for `clipserve train --weights`.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torchvision.models import resnet50
from tqdm import tqdm

from clips import ClipError, ClipSpec, load_clip
from clips.errors import CommandError, UsageError
from training.teacher import FEATURE_CHANNELS, STAGE_CHANNELS, EfficientNetLite2
from training.views import Views

EXAMPLE = "clipserve distill clips.csv --pictures caltech101 --output runs/backbone"

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
STUDENT_CHANNELS = (256, 512, 1024, 2048, 2048)
SAVE_EVERY_STEPS = 100


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
    views: PositiveInt = 200_000
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


class Student(nn.Module):
    """ResNet-50 with one linear read-out for each of the teacher's maps."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = resnet50(zero_init_residual=True)
        teacher_channels = (*STAGE_CHANNELS, FEATURE_CHANNELS)
        pairs = zip(STUDENT_CHANNELS, teacher_channels, strict=True)
        self.readouts = nn.ModuleList(nn.Conv2d(own, taught, kernel_size=1) for own, taught in pairs)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    def forward(self, views: Tensor) -> list[Tensor]:
        """Maps of the teacher's channels at the student's resolution, for ``views`` (batch, 3, height, width) in 0 to 1."""
        trunk = self.trunk
        x = ((views - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        x = trunk.maxpool(trunk.relu(trunk.bn1(trunk.conv1(x))))
        stages: list[Tensor] = []
        for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
            x = stage(x)
            stages.append(x)
        return [readout(stage) for readout, stage in zip(self.readouts, [*stages, x], strict=True)]


class FeatureLoss(nn.Module):
    """Share of the teacher's variance that the student leaves unexplained, map by map; the pooled feature counts twice.

    Source: hints at intermediate layers, arXiv:1412.6550, here at every stage and position.
    """

    def __init__(self, samples: Sequence[list[Tensor]]) -> None:
        super().__init__()
        maps = [torch.cat(parts) for parts in zip(*samples, strict=True)]
        self.means = [m.mean((0, 2, 3), keepdim=True) for m in maps]
        self.deviations = [m.std((0, 2, 3), keepdim=True) + 1e-4 for m in maps]
        pooled = maps[-1].mean((2, 3))
        self.pooled_mean, self.pooled_deviation = pooled.mean(0), pooled.std(0) + 1e-3

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """Losses of the four stages, the final map and the pooled feature, shape (6,)."""
        losses = [self._map_loss(i, *pair) for i, pair in enumerate(zip(student, teacher, strict=True))]
        return torch.stack([*losses, self._pooled_loss(student[-1], teacher[-1])])

    def _map_loss(self, index: int, student: Tensor, teacher: Tensor) -> Tensor:
        target = (teacher - self.means[index]) / self.deviations[index]
        target = F.adaptive_avg_pool2d(target, student.shape[2:])
        return F.mse_loss(student.float(), target) / (target.var() + 1e-6)

    def _pooled_loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        features = student.float().mean((2, 3)) * self.deviations[-1].flatten() + self.means[-1].flatten()
        return F.mse_loss(
            (features - self.pooled_mean) / self.pooled_deviation,
            (teacher.mean((2, 3)) - self.pooled_mean) / self.pooled_deviation,
        )


LOSS_WEIGHTS = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 2.0])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("data", type=Path, help="folder of class folders or CSV; only clips of the train split are used")
    parser.add_argument("--pictures", type=Path, help="folder of other JPEG or PNG pictures, searched in all subfolders")
    parser.add_argument("--output", type=Path, default=Path("runs/backbone"), help="folder for the weights (default %(default)s)")
    parser.add_argument("--config", type=Path, help="JSON file with a configuration (a run's config.json)")
    parser.add_argument("--views", type=int, help="number of pictures to learn from, overrides the configuration")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --output")


def run(args: argparse.Namespace) -> None:
    """Distil, and write ``backbone.pt``."""
    config = DistillConfig.model_validate_json(args.config.read_bytes()) if args.config else DistillConfig()
    if args.views:
        config = config.model_copy(update={"views": args.views})
    last = args.output / "last.pt"
    if last.exists() != args.resume:
        raise UsageError(f"{last} exists; add --resume, or choose another --output" if last.exists() else f"{last} is missing")
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "config.json").write_text(config.model_dump_json(indent=2) + "\n")
    frames = decode_frames(training_paths(args.data), config.frames_per_clip)
    views = Views([frames, read_pictures(args.pictures) if args.pictures else []], config.seed)
    student = distil(views, config, last)
    weights = {name: value for name, value in student.trunk.state_dict().items() if not name.startswith("fc.")}
    torch.save(weights, args.output / "backbone.pt")
    print(f"wrote {args.output / 'backbone.pt'}; next: clipserve train {args.data} --weights {args.output / 'backbone.pt'} --name NAME")


def training_paths(data: Path) -> list[Path]:
    """Clips of the train split."""
    import csv
    with data.open() as f:
        return [data.parent / r["path"] for r in csv.DictReader(f) if r["split"] == "train"]


def decode_frames(paths: Sequence[Path], frames_per_clip: int) -> NDArray[np.uint8]:
    """Frames of all clips, uint8 (clips x frames, 192, 256, 3); clips that cannot be decoded are named and left out."""
    spec = ClipSpec(num_frames=frames_per_clip, height=192, width=256)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        decoded = pool.map(partial(_decode, spec=spec), paths, chunksize=4)
        clips = list(tqdm(decoded, total=len(paths), desc="decoding", unit="clip"))
    failures = [f"{path}: {clip}" for path, clip in zip(paths, clips, strict=True) if isinstance(clip, str)]
    for failure in failures:
        print(f"left out {failure}")
    good = [clip for clip in clips if not isinstance(clip, str)]
    if not good:
        raise CommandError("no clip could be decoded")
    return np.concatenate(good)


def _decode(path: Path, spec: ClipSpec) -> NDArray[np.uint8] | str:
    try:
        return load_clip(path, spec).frames
    except (ClipError, OSError) as problem:
        return str(problem)


def read_pictures(folder: Path) -> list[NDArray[np.uint8]]:
    """All pictures below ``folder``, the shorter side scaled to 128 px, uint8 RGB."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not paths:
        raise UsageError(f"{folder} holds no JPEG or PNG pictures")
    return [_read_picture(path) for path in tqdm(paths, desc="reading pictures", unit="picture")]


def _read_picture(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as file:
        picture = file.convert("RGB")
    scale = 128 / min(picture.size)
    return np.asarray(picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC))


def distil(views: Views, config: DistillConfig, last: Path) -> Student:
    """Train a student; ``last`` is written as the run goes, and continued where it exists."""
    torch.manual_seed(config.seed)
    teacher, student = EfficientNetLite2(), Student().to(memory_format=torch.channels_last)
    loss_of = FeatureLoss([_taught(teacher, views.draw(64, config.phases[0].teacher_px)) for _ in range(8)])
    optimiser = _optimiser(student, config)
    done = _resume(last, student, optimiser, views) if last.exists() else 0
    progress = tqdm(total=config.views, initial=done, unit="view", smoothing=0.05)
    began, log = time.monotonic(), (last.parent / "results.csv").open("a", buffering=1)
    average = torch.ones(6)
    for step, phase in enumerate(_steps(config, done), start=done // config.batch_size + 1):
        rate = _learning_rate(config, step * config.batch_size)
        for group in optimiser.param_groups:
            group["lr"] = rate
        batch = views.draw(config.batch_size, phase.teacher_px)
        small = F.interpolate(batch, size=(phase.student_px,) * 2, mode="bilinear", antialias=True)
        with torch.autocast("cpu", torch.bfloat16):
            maps = student(small)
        losses = loss_of(maps, _taught(teacher, batch))
        optimiser.zero_grad(set_to_none=True)
        (losses * LOSS_WEIGHTS).sum().backward()
        nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimiser.step()
        average = 0.98 * average + 0.02 * losses.detach()
        progress.update(config.batch_size)
        if step % SAVE_EVERY_STEPS == 0:
            _save(last, student, optimiser, views, step * config.batch_size)
            row = [step * config.batch_size, f"{rate:.2e}", f"{time.monotonic() - began:.0f}", *(f"{v:.4f}" for v in average)]
            print(*row, sep=",", file=log)
            progress.set_postfix_str("unexplained " + " ".join(f"{v:.3f}" for v in average))
    _save(last, student, optimiser, views, config.views)
    return student


@torch.no_grad()
def _taught(teacher: EfficientNetLite2, views: Tensor) -> list[Tensor]:
    with torch.autocast("cpu", torch.bfloat16):
        maps: list[Tensor] = teacher(views)
    return maps


def _steps(config: DistillConfig, done: int) -> Iterator[Phase]:
    """The phase of each step that is left."""
    for seen in range(done, config.views, config.batch_size):
        yield next(phase for phase in config.phases if seen < phase.until * config.views)


def _learning_rate(config: DistillConfig, seen: int) -> float:
    """Warm-up, a plateau, and a line down to a hundredth."""
    fall = max(0.0, (seen / config.views - config.decay_from) / (1 - config.decay_from))
    return config.learning_rate * min(1.0, seen / config.warmup_views) * max(0.01, 1 - fall)


def _optimiser(student: Student, config: DistillConfig) -> torch.optim.Optimizer:
    """AdamW; biases and batch-norm scales are not decayed."""
    weights = [p for p in student.parameters() if p.ndim > 1]
    others = [p for p in student.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def _save(last: Path, student: Student, optimiser: torch.optim.Optimizer, views: Views, seen: int) -> None:
    state = {
        "student": student.state_dict(),
        "optimiser": optimiser.state_dict(),
        "views_random": json.dumps(views.random.bit_generator.state),
        "seen": seen,
    }
    partial_file = last.with_suffix(".part")
    torch.save(state, partial_file)
    partial_file.replace(last)


def _resume(last: Path, student: Student, optimiser: torch.optim.Optimizer, views: Views) -> int:
    state = torch.load(last, weights_only=True)
    student.load_state_dict(state["student"])
    optimiser.load_state_dict(state["optimiser"])
    views.random.bit_generator.state = json.loads(state["views_random"])
    return int(state["seen"])
