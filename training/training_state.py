"""What training goes on with after ``last.pt``, beside weights and history."""

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from training.checkpoint import Checkpoint
from training.history import Tally
from training.model import VideoClassifier
from training.stages import Stage


def training_state(stage: Stage, scaler: torch.amp.GradScaler, own_weights: dict[str, Tensor], tally: Tally) -> dict[str, Any]:
    """As plain data. ``own_weights`` are those that training goes on with, ``tally`` what was done of the next epoch."""
    return {
        "average_steps": stage.average.steps if stage.average else 0,
        "optimiser": stage.optimiser.state_dict(),
        "own_weights": own_weights,
        "tally": asdict(tally),
        "scaler": scaler.state_dict(),
    }


def restore(resumed: Checkpoint, stage: Stage, scaler: torch.amp.GradScaler, model: VideoClassifier) -> Tally:
    """Everything as it was; returns what was done of the next epoch."""
    stage.optimiser.load_state_dict(resumed.training["optimiser"])
    scaler.load_state_dict(resumed.training["scaler"])
    if stage.average:
        stage.average.restore(resumed.model, resumed.training["average_steps"])
        model.load_state_dict(resumed.training["own_weights"])
    return Tally(**resumed.training["tally"])
