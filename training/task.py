"""What depends on whether a clip has one label or any number of tags. All else is the same for both.

             single_label                          multi_label
targets      1 for one label                       1 for each tag
answer       softmax: labels compete               sigmoid: each tag by itself, from a threshold of its own on
loss         cross-entropy                         binary cross-entropy
best epoch   by macro-F1                           by mean average precision
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor

from clips.manifest import TaskName
from training.calibration import Reliability, fit_temperature, reliability
from training.evaluation import Evaluation, evaluated
from training.history import AnyEpochResult, EpochResult, TagEpochResult
from training.html_report import html_report
from training.losses import Loss, soft_loss
from training.metrics import Metrics, measure
from training.metrics_table import evaluation_text
from training.parity import AnyParity, compare, compare_tags
from training.plots import plot_confusion_matrix, plot_tags
from training.refusal import lost_labels, lost_tags
from training.tag_calibration import fit_tag_temperature, tag_reliability
from training.tag_evaluation import TagEvaluation, evaluated_tags
from training.tag_loss import TagLoss, tag_soft_loss
from training.tag_metrics import TagMetrics, measure_tags
from training.tag_report import tag_report
from training.tag_table import tag_evaluation_text

AnyLoss = Loss | TagLoss
AnyMetrics = Metrics | TagMetrics
AnyEvaluation = Evaluation | TagEvaluation


@dataclass(frozen=True)
class Task:
    """One of the two. ``truth`` is (clips,), indices of labels; where clips have tags it is (clips, labels) of 0 and 1."""

    name: TaskName

    probabilities: Callable[[Tensor], Tensor]
    """Logits (batch, labels) -> (batch, labels)."""
    truth: Callable[[Tensor], Tensor]
    """Targets of batches (clips, labels), none of them mixed -> truth, int64."""
    right: Callable[[Tensor, Tensor], float]
    """Logits and targets (batch, labels) -> how many clips are right, in the running figure of an epoch."""
    loss: type[AnyLoss]
    soft_loss: Callable[[Tensor, Tensor], Tensor]
    """Logits and those of a teacher -> how far they are apart, mean over the clips."""

    measure: Callable[..., AnyMetrics]
    """Probabilities, truth, labels, and thresholds of tags, which are tuned on these clips where they are left out."""
    epoch_result: type[AnyEpochResult]
    fit_temperature: Callable[..., float]
    """Probabilities, truth."""
    reliability: Callable[..., Reliability]
    """Probabilities, truth."""
    figure: str
    """Of which a quantised file may lose a little."""
    compare: Callable[..., AnyParity]
    """Precision, probabilities of torch and of the file, truth."""
    lost: Callable[..., str]
    """Labels, probabilities of torch and of the file, truth -> where the file is worse."""

    plot: Callable[..., None]
    """Metrics, labels, title, folder: where it goes wrong, as a picture."""
    evaluated: Callable[..., AnyEvaluation]
    """Probabilities, truth, labels, clips, thresholds (which labels have none of)."""
    evaluation_text: Callable[..., str]
    """Evaluation, labels."""
    evaluation_page: Callable[..., str]
    """Evaluation, labels, decoded clips, titles, and more sections."""


def _right_clips(logits: Tensor, targets: Tensor) -> float:
    return int((logits.argmax(dim=1) == targets.argmax(dim=1)).sum())


def _right_tags(logits: Tensor, targets: Tensor) -> float:
    """Each clip counts with the share of its tags that are right at a probability of 0.5."""
    return float(((logits > 0) == (targets > 0.5)).float().mean(dim=1).sum())


TASKS: Mapping[TaskName, Task] = MappingProxyType(
    {
        "single_label": Task(
            name="single_label",
            probabilities=partial(torch.softmax, dim=1),
            truth=partial(torch.argmax, dim=1),
            right=_right_clips,
            loss=Loss,
            soft_loss=soft_loss,
            measure=measure,
            epoch_result=EpochResult,
            fit_temperature=fit_temperature,
            reliability=reliability,
            figure="top-1",
            compare=compare,
            lost=lost_labels,
            plot=plot_confusion_matrix,
            evaluated=evaluated,
            evaluation_text=evaluation_text,
            evaluation_page=html_report,
        ),
        "multi_label": Task(
            name="multi_label",
            probabilities=torch.sigmoid,
            truth=Tensor.long,
            right=_right_tags,
            loss=TagLoss,
            soft_loss=tag_soft_loss,
            measure=measure_tags,
            epoch_result=TagEpochResult,
            fit_temperature=fit_tag_temperature,
            reliability=tag_reliability,
            figure="mAP",
            compare=compare_tags,
            lost=lost_tags,
            plot=plot_tags,
            evaluated=evaluated_tags,
            evaluation_text=tag_evaluation_text,
            evaluation_page=tag_report,
        ),
    }
)
