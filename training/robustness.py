"""How a model fares on clips that are not as it was trained: one thing changes at a time, all else stays.

axis           what changes                                            measured for
frames         frames that the model looks at                          checkpoints: a published file takes one shape
size           their height and width, px                              checkpoints
video_frames   distinct frames of the video, repeated until they fit   all
video_size     px of the video, enlarged until it fits                 all
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from clips import ClipSpec
from clips.manifest import TaskName
from training.dataset import LabelledClip
from training.decoding import decode_clips
from training.model_source import TrainedModel
from training.multi_view import Views, classify_views
from training.targets import label_targets
from training.task import AnyMetrics
from training.temporal import MAX_FRAMES

Axis = Literal["frames", "size", "video_frames", "video_size"]

_FIGURES: dict[TaskName, tuple[str, ...]] = {
    "single_label": ("accuracy", "macro_f1"),
    "multi_label": ("mean_average_precision", "macro_f1"),
}
_FRAME_SHARES = (0.5, 2.0)
_SIZE_SHARES = (0.57, 0.71, 1.29)  # 128, 160 and 288 px of 224
_SIZE_STEP_PX = 32  # by which a ResNet shrinks a frame
_VIDEO_SHARES = (0.5, 0.25)
_SMALLEST_PX = ClipSpec.model_fields["height"].metadata[0].ge


@dataclass(frozen=True)
class Condition:
    """Another look at the same clips."""

    axis: Axis
    decoded: ClipSpec
    shown: ClipSpec
    """To the model: what is decoded, repeated and enlarged until it fits."""

    @property
    def value(self) -> int:
        """Frames, or height in px."""
        return self.decoded.num_frames if self.axis.endswith("frames") else self.decoded.height


@dataclass(frozen=True)
class RobustnessRow:
    """What became of the figures."""

    axis: Axis
    value: int
    """Frames, or height in px."""
    trained: bool
    """Whether this is what the model was trained for."""
    figures: dict[str, float]
    """0 to 1, by name: ``macro_f1``, and ``accuracy`` or, of tags, ``mean_average_precision``."""
    clips: int
    """That could be decoded like this."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"axis": self.axis, "value": self.value, "trained": self.trained, **self.figures, "clips": self.clips}


def robustness(model: TrainedModel, clips: Sequence[LabelledClip], trained: AnyMetrics, workers: int) -> list[RobustnessRow]:
    """Axis by axis, by rising value. ``trained``: of the same clips as the model was trained to see them; where clips have
    tags, its thresholds count everywhere.

    Raises: CommandError: all clips of a class failed, the disk is too small, or a worker died.
    """

    def row(axis: Axis, value: int, metrics: AnyMetrics) -> RobustnessRow:
        headline = metrics.headline()
        figures = {name: headline[name] for name in _FIGURES[model.task.name]}
        return RobustnessRow(axis, value, metrics is trained, figures, metrics.clips)

    found = conditions(model.spec, model.any_shape)
    rows = [row(each.axis, each.value, _measured(model, clips, each, workers, trained.thresholds)) for each in found]
    order = list(dict.fromkeys(row.axis for row in rows))
    rows += [row(axis, Condition(axis, model.spec, model.spec).value, trained) for axis in order]
    return sorted(rows, key=lambda row: (order.index(row.axis), row.value))


def conditions(spec: ClipSpec, any_shape: bool) -> list[Condition]:
    """Everything that differs from ``spec``; what a model of one shape cannot take is left out."""
    shapes = [*_other_frames(spec), *_other_sizes(spec)] if any_shape else []
    found = [Condition(axis, changed, changed) for axis, changed in shapes]
    found += [Condition(axis, changed, spec) for axis, changed in _poorer_videos(spec)]
    return [condition for condition in dict.fromkeys(found) if condition.decoded != spec]


def shown_as(clips: NDArray[np.uint8], spec: ClipSpec) -> NDArray[np.uint8]:
    """(batch, frames, height, width, 3) -> (batch, *spec.shape): frames repeated, pictures enlarged as the decoder does it."""
    frames = clips[:, np.arange(spec.num_frames) * clips.shape[1] // spec.num_frames]
    if frames.shape[1:] == spec.shape:
        return frames
    pictures = torch.from_numpy(frames).flatten(0, 1).permute(0, 3, 1, 2).float()
    enlarged = functional.interpolate(pictures, (spec.height, spec.width), mode="bilinear").round().to(torch.uint8)
    return np.ascontiguousarray(enlarged.permute(0, 2, 3, 1).reshape(len(clips), *spec.shape).numpy())


def _measured(
    model: TrainedModel,
    clips: Sequence[LabelledClip],
    condition: Condition,
    workers: int,
    thresholds: list[float] | None,
) -> AnyMetrics:
    title = f"{condition.axis} {condition.value}"

    def classify(decoded: NDArray[np.uint8]) -> NDArray[np.float32]:
        return model.classify(shown_as(decoded, condition.shown))

    with TemporaryDirectory() as folder:
        decoded, _ = decode_clips(clips, condition.decoded, Path(folder) / "clips.dat", workers, f"decoding, {title}")
        probabilities = classify_views(decoded, classify, condition.decoded, Views(), f"classifying, {title}")
        truth = model.task.truth(label_targets(decoded, model.labels)).numpy()
        return model.task.measure(probabilities, truth, model.labels, thresholds)


def _other_frames(spec: ClipSpec) -> Iterator[tuple[Axis, ClipSpec]]:
    for share in _FRAME_SHARES:
        frames = min(MAX_FRAMES, max(1, round(share * spec.num_frames)))
        yield "frames", spec.model_copy(update={"num_frames": frames})


def _other_sizes(spec: ClipSpec) -> Iterator[tuple[Axis, ClipSpec]]:
    for share in _SIZE_SHARES:
        sides = {
            side: _SIZE_STEP_PX * max(1, round(share * getattr(spec, side) / _SIZE_STEP_PX)) for side in ("height", "width")
        }
        yield "size", spec.model_copy(update=sides)


def _poorer_videos(spec: ClipSpec) -> Iterator[tuple[Axis, ClipSpec]]:
    for share in _VIDEO_SHARES:
        yield "video_frames", spec.model_copy(update={"num_frames": max(1, round(share * spec.num_frames))})
    for share in _VIDEO_SHARES:
        sides = {side: max(_SMALLEST_PX, round(share * getattr(spec, side))) for side in ("height", "width")}
        yield "video_size", spec.model_copy(update=sides)
