"""What a model answers to all clips of a pass, and what it should answer."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.device import Device
from training.feeding import Batches
from training.task import Task


@torch.no_grad()
def predict(
    batches: Batches, forward: Callable[[Tensor], Tensor], device: Device, task: Task
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities (clips, labels) and the task's truth of all processes, in the order of the clips."""
    probabilities, truth = [], []
    for batch in batches.one_pass(()):
        with device.autocast():
            logits = forward(batch.inputs)
        probabilities.append(task.probabilities(logits.float()).cpu())
        truth.append(task.truth(batch.targets).cpu())
    everywhere = [batches.processes.concatenated(parts, torch.device("cpu")).numpy() for parts in (probabilities, truth)]
    return everywhere[0], everywhere[1]
