"""A trained model that a smaller or cheaper one learns from, beside the labels: its answers, and which clips it finds alike.

    stored frames  x x x x x x x x  -> drawn, one of each segment of the student        -> student -> logits, features
                                    -> the middle one of each segment of the teacher -> teacher -> logits, features

Both see the same view of a clip, blends and all (arXiv:2106.05237); a teacher of many frames teaches a student of few.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from clips import ClipSpec
from clips.errors import CommandError
from training.checkpoint import Checkpoint
from training.config import TrainingConfig
from training.device import Device
from training.model import VideoClassifier
from training.task import TASKS, Task
from training.weights import weights_file


@dataclass(frozen=True)
class Teacher:
    """The trained model, and how much it has to say."""

    model: VideoClassifier
    label_indices: Tensor
    """For each label of the student, its place among the teacher's."""
    num_frames: int
    """That it looks at."""
    temperature: float
    weight: float
    feature_weight: float
    device: Device
    task: Task

    @classmethod
    def load(cls, config: TrainingConfig, labels: list[str], device: Device) -> "Teacher | None":
        """The teacher of a run; None where there is none.

        Raises: CommandError: the checkpoint does not know the labels, or looks at clips that cannot be made of what is stored.
        """
        if not config.teacher:
            return None
        checkpoint = Checkpoint.load(weights_file(Path(config.teacher)))
        if checkpoint.settings.task != config.task:
            raise CommandError(
                f"--teacher {config.teacher} is a {checkpoint.settings.task} model and the run is {config.task}: "
                "a teacher must have the same --task"
            )
        if missing := sorted(set(labels) - set(checkpoint.labels)):
            raise CommandError(
                f"--teacher {config.teacher} does not know the label {missing[0]!r}; it knows {checkpoint.labels}"
            )
        _check_clips(checkpoint.spec, config)
        indices = torch.tensor([checkpoint.labels.index(label) for label in labels], device=device.torch_device)
        model = checkpoint.classifier().to(device.torch_device).requires_grad_(False)
        weights = (config.teacher_temperature, config.teacher_weight, config.teacher_feature_weight)
        return cls(model, indices, checkpoint.spec.num_frames, *weights, device, TASKS[config.task])

    @torch.no_grad()
    def answers(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (batch, labels of the student) and features (batch, features).

        ``clips`` have all stored frames; the teacher sees the middle one of each of its segments.
        """
        each = clips.shape[1] // self.num_frames
        clips = clips[:, each // 2 :: each]
        with self.device.autocast():
            features = self.model.embedding(self.model.features(clips))
            logits: Tensor = self.model.head(features)
        return logits.float()[:, self.label_indices], features.float()

    def loss(self, label_loss: Tensor, logits: Tensor, features: Tensor, clips: Tensor) -> Tensor:
        """``label_loss`` of the student with what it has to learn from the teacher. Features (batch, any number).

        Source: soft labels, arXiv:1503.02531; similarities of clips, arXiv:1907.09682.
        """
        teacher_logits, teacher_features = self.answers(clips)
        soft = self.task.soft_loss(logits / self.temperature, teacher_logits / self.temperature)
        loss = (1 - self.weight) * label_loss + self.weight * self.temperature**2 * soft
        if self.feature_weight:
            loss = loss + self.feature_weight * functional.mse_loss(similarities(features), similarities(teacher_features))
        return loss


def _check_clips(spec: ClipSpec, config: TrainingConfig) -> None:
    """Raises: CommandError: the teacher's clips are not in what the run stores."""
    stored = config.num_frames * config.frame_choices
    if stored % spec.num_frames:
        raise CommandError(
            f"--teacher looks at {spec.num_frames} frames and {stored} are stored (--num-frames x --frame-choices): "
            "choose them so that the second is a multiple of the first"
        )
    ours = config.clip_spec
    if (spec.height, spec.width, spec.fit, spec.sampling) != (ours.height, ours.width, ours.fit, ours.sampling):
        raise CommandError(
            f"--teacher looks at clips of {spec.height} x {spec.width} px, {spec.fit}, {spec.sampling}; "
            "give the run the same --size, --fit and --sampling"
        )


def similarities(features: Tensor) -> Tensor:
    """(batch, features) -> (batch, batch): how alike the clips of a batch are, each row of length 1."""
    return functional.normalize(features @ features.T, dim=1)
