"""Does an ONNX file answer like the torch model it came from? A variant that does not is not published."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clips.manifest import Precision

MAX_FP32_DIFFERENCE = 1e-4
"""Largest difference of a probability between torch and the fp32 file."""
MAX_ACCURACY_DROP = 0.01
"""Top-1 that a quantised file may lose, as a share of the validation clips; with fewer than 100 clips that is none."""


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
    def accuracy_drop(self) -> float:
        """Top-1 of torch minus top-1 of this file; negative where the file is better."""
        return self.torch_accuracy - self.accuracy

    @property
    def passed(self) -> bool:
        """Rounding of the shares must not decide."""
        if self.precision == "fp32":
            return self.max_abs_difference < MAX_FP32_DIFFERENCE
        return self.accuracy_drop <= MAX_ACCURACY_DROP + 1e-9

    def figures(self) -> str:
        """One line."""
        quantised_limit = f"at most {100 * MAX_ACCURACY_DROP:g} point may be lost"
        limit = f"limit {MAX_FP32_DIFFERENCE:g}" if self.precision == "fp32" else quantised_limit
        return (
            f"{self.precision}: accuracy {self.accuracy:.2%} against {self.torch_accuracy:.2%} in torch, {self.clips} clips, "
            f"same label for {self.agreement:.1%}, probabilities differ by {self.max_abs_difference:.2g} at most; {limit}"
        )


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
