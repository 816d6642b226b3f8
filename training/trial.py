"""What the files of a version are made from and measured on, with torch's own answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from clips import ClipSpec
from clips.manifest import Quantisation
from training.checkpoint import Checkpoint
from training.classification import classify_all
from training.decoding import DecodedClips
from training.model import VideoClassifier
from training.model_source import torch_logits
from training.targets import label_targets
from training.task import TASKS, Task


@dataclass(frozen=True)
class Trial:
    """What variants are made from and measured on."""

    model: VideoClassifier
    spec: ClipSpec
    labels: Sequence[str]
    calibration: DecodedClips
    val: DecodedClips
    targets: NDArray[np.int64]
    """Truth of ``val``, as the task measures it."""
    torch_probabilities: NDArray[np.float32]
    """(clips, labels), of ``val``, in fp32, at ``temperature``."""
    temperature: float = 1.0
    """Goes into the graph."""
    task: Task = TASKS["single_label"]
    quantisation: Quantisation = "u8s8"
    """Of the INT8 file."""


def trial_of(
    checkpoint: Checkpoint,
    calibration: DecodedClips,
    val: DecodedClips,
    quantisation: Quantisation,
    *,
    fits_temperature: bool,
) -> Trial:
    """With torch's answers to ``val``, at a temperature that is fitted on them or at 1."""
    task = TASKS[checkpoint.settings.task]
    logits = torch.from_numpy(classify_all(val, torch_logits(checkpoint), "torch"))
    truth = task.truth(label_targets(val, checkpoint.labels)).numpy()
    probabilities, temperature = task.probabilities(logits).numpy(), 1.0
    if fits_temperature:
        temperature = task.fit_temperature(probabilities, truth)
        mended = task.probabilities(logits / temperature).numpy()
        before, after = (task.reliability(each, truth).error for each in (probabilities, mended))
        print(
            f"calibration: temperature {temperature:.2f}, expected error {before:.3f} before, {after:.3f} with it", flush=True
        )
        probabilities = mended
    return Trial(
        model=checkpoint.classifier(),
        spec=checkpoint.spec,
        labels=checkpoint.labels,
        calibration=calibration,
        val=val,
        targets=truth,
        torch_probabilities=probabilities,
        temperature=temperature,
        task=task,
        quantisation=quantisation,
    )
