"""Why a variant is refused, where it loses, and what can be done about it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clips.manifest import Precision
from training.parity import Parity

_NAMED_LABELS = 3
_FEW_CLIPS = 100
"""Below which one clip is more than the point that may be lost."""


def explanation(parity: Parity, losses: str, calibration_clips: int, wanted: Sequence[Precision]) -> str:
    """Figures, where they come from, and remedies: one line. ``losses`` as ``lost_labels`` tells them."""
    others = ",".join(precision for precision in wanted if precision != parity.precision)
    remedies = _remedies(parity, calibration_clips) + ([f"leave it out with --variants {others}"] if others else [])
    return parity.figures() + (f". It loses {losses}" if losses else "") + (f". Remedies: {'; '.join(remedies)}")


def lost_labels(labels: Sequence[str], right_in_torch: NDArray[np.bool_], right: NDArray[np.bool_]) -> str:
    """``3 of 8 on Lunges, 1 of 5 on JumpRope``: of the clips that torch has right, the most first; empty where none is lost.

    ``labels`` are the true ones; all three have one value for each clip.
    """
    names = np.array(labels)
    lost = {name: int((right_in_torch & ~right)[names == name].sum()) for name in dict.fromkeys(labels)}
    worst = sorted((name for name in lost if lost[name]), key=lambda name: -lost[name])[:_NAMED_LABELS]
    return ", ".join(f"{lost[name]} of {right_in_torch[names == name].sum()} on {name}" for name in worst)


def _remedies(parity: Parity, calibration_clips: int) -> list[str]:
    if parity.precision == "fp32":
        return ["export with the versions of torch and onnx that the lock file names: the exporter changed what is computed"]
    few = [f"measure on more validation clips: of {parity.clips}, one is {100 / parity.clips:.1f} points"]
    remedies = few if parity.clips < _FEW_CLIPS else []
    if parity.precision == "int8":
        remedies.append(f"set its ranges with more clips than these {calibration_clips} (--calibration-clips)")
    return remedies
