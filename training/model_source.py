"""What ``clipserve evaluate`` measures: a checkpoint, or a published version; both turn clips into probabilities."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from clips import ClipSpec, Manifest
from clips.errors import CommandError, UsageError
from clips.manifest import MANIFEST_FILE, Precision
from training.checkpoint import Checkpoint
from training.config import TrainingConfig
from training.onnx_runtime import OnnxClassifier
from training.task import TASKS, Task

Classify = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class TrainedModel:
    """A model that can be measured."""

    title: str
    labels: list[str]
    spec: ClipSpec
    fingerprint: str
    """Of the data that it was trained on."""
    seed: int
    val_fraction: float
    classify: Classify
    """(batch, frames, height, width, 3), uint8 -> probabilities (batch, labels)."""
    task: Task
    thresholds: list[float] | None
    """From which a tag counts; None where there are no tags, and in ``last.pt``."""
    any_shape: bool = False
    """Whether it takes other numbers of frames and other sizes than ``spec`` has."""


def open_model(path: Path, precision: Precision | None = None) -> TrainedModel:
    """A checkpoint file, ``models/<name>/<version>``, or ``models/<name>`` for its newest version.

    Raises: UsageError: there is nothing at ``path``. CommandError: it is no model, or was changed after it was published.
    """
    if path.is_file():
        return _open_checkpoint(path)
    versions = sorted((int(entry.name), entry) for entry in path.glob("*") if entry.name.isdecimal() and entry.is_dir())
    folder = path if (path / MANIFEST_FILE).exists() or not versions else versions[-1][1]
    if not (folder / MANIFEST_FILE).exists():
        raise UsageError(f"{path} is neither a checkpoint nor a published model (models/NAME/VERSION)")
    return _open_version(folder, precision)


def torch_classify(checkpoint: Checkpoint) -> Classify:
    """The checkpoint in fp32 on the CPU or on the GPU."""
    logits_of, task = torch_logits(checkpoint), TASKS[checkpoint.settings.task]

    def classify(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        return task.probabilities(torch.from_numpy(logits_of(clips))).numpy()

    return classify


def torch_logits(checkpoint: Checkpoint) -> Classify:
    """As ``torch_classify``, of what comes before probabilities."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = checkpoint.classifier().to(device)

    def classify(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        # the reference has to be fp32 on a GPU too, not TF32
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            logits: NDArray[np.float32] = model(torch.from_numpy(clips).to(device)).cpu().numpy()
        return logits

    return classify


def _open_checkpoint(file: Path) -> TrainedModel:
    checkpoint = Checkpoint.load(file)
    config, origin = checkpoint.settings, checkpoint.provenance
    title = f"{config.name}, checkpoint {file} (epoch {checkpoint.epoch}), torch in fp32"
    seeds = (origin.fingerprint, config.seed, config.val_fraction)
    told = (TASKS[config.task], checkpoint.thresholds)
    return TrainedModel(title, checkpoint.labels, checkpoint.spec, *seeds, torch_classify(checkpoint), *told, any_shape=True)


def _open_version(folder: Path, precision: Precision | None) -> TrainedModel:
    try:
        manifest = Manifest.read(folder)
    except (OSError, ValidationError) as problem:
        raise CommandError(f"{folder / MANIFEST_FILE} cannot be read, or does not follow the schema") from problem
    # INT8 first: what a server on a CPU takes
    wanted: tuple[Precision, ...] = (precision,) if precision else ("int8", "fp32", "fp16")
    variant = next((found for name in wanted if (found := manifest.variant(name))), None)
    if variant is None:
        raise CommandError(f"{folder} has no variant {precision}; it has {', '.join(v.precision for v in manifest.variants)}")
    file = folder / variant.file
    if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != variant.sha256:
        raise CommandError(f"{file} is missing or was changed after it was published: its SHA-256 is not the manifest's")
    settings: dict[str, Any] = manifest.training.configuration
    val_fraction = settings.get("val_fraction", TrainingConfig.model_fields["val_fraction"].default)
    title = f"{manifest.name} version {manifest.version}, {variant.precision} in onnxruntime"
    seeds = (manifest.training.dataset_fingerprint, manifest.training.seed, float(val_fraction))
    told = (TASKS[manifest.task], manifest.thresholds)
    return TrainedModel(title, manifest.labels, manifest.clip_spec, *seeds, OnnxClassifier(file), *told)
