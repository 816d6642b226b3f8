"""``best.pt`` and ``last.pt``: weights with everything needed to use them, as plain data that torch loads without code."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from clips import ClipSpec
from clips.errors import CommandError
from training.config import TrainingConfig
from training.model import VideoClassifier
from training.weights import read_torch_file, save_torch_file


@dataclass(frozen=True)
class Origin:
    """What a model was trained on."""

    dataset: str
    fingerprint: str
    train_clips: int
    val_clips: int
    val_groups: int


@dataclass(frozen=True)
class Checkpoint:
    """A model at the end of an epoch."""

    model: Mapping[str, Tensor]
    """The weights that were validated (the moving average, where there is one)."""
    labels: list[str]
    clip_spec: dict[str, Any]
    config: dict[str, Any]
    origin: dict[str, Any]
    epoch: int
    metrics: dict[str, float]
    training: dict[str, Any] = field(default_factory=dict)
    """``last.pt`` alone: what it takes to go on (raw weights, optimiser, moving average, results so far)."""
    thresholds: list[float] | None = None
    """``best.pt`` of a multi_label run alone: the probability from which each tag counts, tuned on the validation clips."""

    def save(self, file: Path) -> None:
        """Write by one atomic rename: an interrupted save leaves the old file."""
        save_torch_file({item.name: getattr(self, item.name) for item in fields(self)}, file)

    @classmethod
    def load(cls, file: Path) -> "Checkpoint":
        """Read a checkpoint of a run.

        Raises: CommandError: the file is missing or is something else.
        """
        content = read_torch_file(file)
        missing = [item.name for item in fields(cls) if item.default is MISSING and item.name not in content]
        if missing:
            raise CommandError(f"{file} is not a checkpoint of `clipserve train`: it has no {missing[0]!r}")
        checkpoint = cls(**{str(key): value for key, value in content.items() if key in {f.name for f in fields(cls)}})  # type: ignore[arg-type]
        try:
            ClipSpec.model_validate(checkpoint.clip_spec)
            TrainingConfig.model_validate(checkpoint.config)
            Origin(**checkpoint.origin)
        except (ValidationError, TypeError) as problem:
            raise CommandError(
                f"{file} was written by another version of clipserve; train or export it with that one"
            ) from problem
        return checkpoint

    @property
    def spec(self) -> ClipSpec:
        """Copied from the training run, never retyped."""
        return ClipSpec.model_validate(self.clip_spec)

    @property
    def settings(self) -> TrainingConfig:
        """The run's resolved settings."""
        return TrainingConfig.model_validate(self.config)

    @property
    def provenance(self) -> Origin:
        """The data behind the weights."""
        return Origin(**self.origin)

    def classifier(self) -> VideoClassifier:
        """The network with these weights, in evaluation mode, on the CPU.

        Raises: CommandError: the weights are not those of its settings.
        """
        model = VideoClassifier(len(self.labels), architecture=self.settings.architecture)
        try:
            model.load_state_dict(dict(self.model))
        except RuntimeError as problem:
            raise CommandError("the checkpoint's weights are not those of the network that its settings name") from problem
        return model.eval()
