"""Why a variant is refused, where it loses, and what can be done about it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clips.manifest import Precision
from training.parity import AnyParity, Parity
from training.tag_metrics import average_precisions

Rows = NDArray[np.float32]

_NAMED_LABELS = 3
_FEW_CLIPS = 100
"""Below which one clip is more than the point that may be lost."""


def explanation(parity: AnyParity, losses: str, calibration_clips: int, wanted: Sequence[Precision]) -> str:
    """Figures, where they come from, and remedies: one line. ``losses`` as ``lost_labels`` or ``lost_tags`` tells them."""
    others = ",".join(precision for precision in wanted if precision != parity.precision)
    remedies = _remedies(parity, calibration_clips) + ([f"leave it out with --variants {others}"] if others else [])
    return parity.figures() + (f". It loses {losses}" if losses else "") + (f". Remedies: {'; '.join(remedies)}")


def lost_labels(labels: Sequence[str], torch_probabilities: Rows, probabilities: Rows, targets: NDArray[np.int64]) -> str:
    """``3 of 8 on Lunges, 1 of 5 on JumpRope``: of the clips that torch has right, the most first; empty where none is lost.

    Probabilities (clips, labels), ``targets`` (clips,).
    """
    right_in_torch, right = (rows.argmax(axis=1) == targets for rows in (torch_probabilities, probabilities))
    had, lost = (np.bincount(targets[which], minlength=len(labels)) for which in (right_in_torch, right_in_torch & ~right))
    worst = np.argsort(-lost, kind="stable")[:_NAMED_LABELS]
    return ", ".join(f"{lost[at]} of {had[at]} on {labels[at]}" for at in worst if lost[at])


def lost_tags(labels: Sequence[str], torch_probabilities: Rows, probabilities: Rows, targets: NDArray[np.int64]) -> str:
    """``4.1 points on wave, 0.3 points on nod``: of average precision, the most first; empty where none is lost.

    All (clips, labels).
    """
    before, after = (average_precisions(rows, targets) for rows in (torch_probabilities, probabilities))
    lost = np.round(100 * (before - after), 1)
    worst = np.argsort(-lost, kind="stable")[:_NAMED_LABELS]
    return ", ".join(f"{lost[at]:.1f} points on {labels[at]}" for at in worst if lost[at] > 0)


def _remedies(parity: AnyParity, calibration_clips: int) -> list[str]:
    if parity.precision == "fp32":
        return ["export with the versions of torch and onnx that the lock file names: the exporter changed what is computed"]
    one = f": of {parity.clips}, one is {100 / parity.clips:.1f} points" if isinstance(parity, Parity) else ""
    few = f"measure on more validation clips{one or f' than these {parity.clips}'}"
    remedies = [few] if parity.clips < _FEW_CLIPS else []
    if parity.precision == "int8":
        remedies.append(f"set its ranges with more clips than these {calibration_clips} (--calibration-clips)")
    return remedies
