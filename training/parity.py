"""Does an ONNX file answer like the torch model it came from? A variant that does not is not published."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clips.manifest import Precision
from training.tag_metrics import mean_average_precision

MAX_FP32_DIFFERENCE = 1e-4
"""Largest difference of a probability between torch and the fp32 file."""
MAX_ACCURACY_DROP = 0.01
"""Top-1 that a quantised file may lose, as a share of the validation clips; with fewer than 100 clips that is none.

Of a model that gives tags, the mean average precision.
"""


@dataclass(frozen=True)
class Parity:
    """One file against torch in fp32, over the validation clips."""

    precision: Precision
    clips: int
    max_abs_difference: float
    """Of a probability."""
    accuracy: float
    torch_accuracy: float
    agreement: float
    """Share of the clips for which both give the same label."""

    @property
    def score(self) -> float:
        """Of the file."""
        return self.accuracy

    @property
    def drop(self) -> float:
        """Top-1 of torch minus top-1 of this file; negative where the file is better."""
        return self.torch_accuracy - self.accuracy

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**vars(self), "accuracy_drop": self.drop}

    @property
    def passed(self) -> bool:
        """Rounding of the shares must not decide."""
        return _passed(self)

    def figures(self) -> str:
        """One line."""
        return (
            f"{self.precision}: accuracy {self.accuracy:.2%} against {self.torch_accuracy:.2%} in torch, {self.clips} clips, "
            f"same label for {self.agreement:.1%}, {_limits(self)}"
        )


@dataclass(frozen=True)
class TagParity:
    """As ``Parity``, of a model that gives tags: what ranks clips well in torch has to rank them well in the file."""

    precision: Precision
    clips: int
    max_abs_difference: float
    """Of a probability."""
    mean_average_precision: float
    torch_mean_average_precision: float

    @property
    def score(self) -> float:
        """Of the file."""
        return self.mean_average_precision

    @property
    def drop(self) -> float:
        """mAP of torch minus mAP of this file; negative where the file is better."""
        return self.torch_mean_average_precision - self.mean_average_precision

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**vars(self), "mean_average_precision_drop": self.drop}

    @property
    def passed(self) -> bool:
        """Rounding of the shares must not decide."""
        return _passed(self)

    def figures(self) -> str:
        """One line."""
        return (
            f"{self.precision}: mAP {self.score:.4f} against {self.torch_mean_average_precision:.4f} in torch, "
            f"{self.clips} clips, {_limits(self)}"
        )


AnyParity = Parity | TagParity


def _passed(parity: AnyParity) -> bool:
    if parity.precision == "fp32":
        return parity.max_abs_difference < MAX_FP32_DIFFERENCE
    return parity.drop <= MAX_ACCURACY_DROP + 1e-9


def _limits(parity: AnyParity) -> str:
    quantised_limit = f"at most {100 * MAX_ACCURACY_DROP:g} point may be lost"
    limit = f"limit {MAX_FP32_DIFFERENCE:g}" if parity.precision == "fp32" else quantised_limit
    return f"probabilities differ by {parity.max_abs_difference:.2g} at most; {limit}"


def compare(
    precision: Precision,
    torch_probabilities: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    targets: NDArray[np.int64],
) -> Parity:
    """``torch_probabilities`` and ``probabilities`` (clips, labels), ``targets`` (clips,)."""
    ours, theirs = probabilities.argmax(axis=1), torch_probabilities.argmax(axis=1)
    return Parity(
        precision=precision,
        clips=len(targets),
        max_abs_difference=float(np.abs(probabilities - torch_probabilities).max()),
        accuracy=float((ours == targets).mean()),
        torch_accuracy=float((theirs == targets).mean()),
        agreement=float((ours == theirs).mean()),
    )


def compare_tags(
    precision: Precision,
    torch_probabilities: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    targets: NDArray[np.int64],
) -> TagParity:
    """All (clips, labels)."""
    return TagParity(
        precision=precision,
        clips=len(targets),
        max_abs_difference=float(np.abs(probabilities - torch_probabilities).max()),
        mean_average_precision=mean_average_precision(probabilities, targets),
        torch_mean_average_precision=mean_average_precision(torch_probabilities, targets),
    )
