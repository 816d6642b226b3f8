"""torch to ONNX: uint8 clips in, probabilities out, normalisation and softmax (of tags the sigmoid) inside the graph."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from clips import ClipSpec
from training.model import VideoClassifier
from training.onnx_runtime import INPUT, OUTPUT
from training.task import TASKS

# A batch of 1 would be taken for a constant.
_EXAMPLE_BATCH = 2


class _Probabilities(nn.Module):
    """The classifier with its softmax or sigmoid; the argument's name becomes the name of the graph's input."""

    def __init__(self, model: VideoClassifier, temperature: float, probabilities: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.temperature, self.probabilities = model, temperature, probabilities

    def forward(self, clips: Tensor) -> Tensor:
        logits: Tensor = self.model(clips)
        return self.probabilities(logits / self.temperature)


def export_fp32(
    model: VideoClassifier,
    spec: ClipSpec,
    file: Path,
    temperature: float = 1.0,
    probabilities: Callable[[Tensor], Tensor] = TASKS["single_label"].probabilities,
) -> None:
    """Write ``model`` as one ONNX file: ``clips`` uint8 (batch, frames, height, width, 3) -> ``probabilities`` float32.

    ``batch`` is dynamic, the rest is fixed by ``spec``. Logits are divided by ``temperature`` before they
    become ``probabilities``.
    """
    example = torch.zeros((_EXAMPLE_BATCH, *spec.shape), dtype=torch.uint8)
    with warnings.catch_warnings(), _quiet_exporter():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Probabilities(model.cpu().eval(), temperature, probabilities),
            (example,),
            file,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    onnx.checker.check_model(file, full_check=True)


@contextlib.contextmanager
def _quiet_exporter():  # type: ignore[no-untyped-def]
    """The exporter narrates on standard output and in its log; its errors are exceptions anyway."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
