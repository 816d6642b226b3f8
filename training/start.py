"""The network that a run begins with, or goes on with."""

import torch

from clips.errors import CommandError
from training.checkpoint import Checkpoint
from training.config import TrainingConfig
from training.dataset import Dataset
from training.model import VideoClassifier
from training.run_folder import RunFolder
from training.weights import load_start_weights


def last_checkpoint(folder: RunFolder | None) -> Checkpoint | None:
    """Of a run that goes on; one that was stopped before its first epoch ended begins anew. Raises: CommandError."""
    return Checkpoint.load(folder.last) if folder is not None and folder.last.exists() else None


def start_model(config: TrainingConfig, dataset: Dataset, resumed: Checkpoint | None) -> VideoClassifier:
    """Says where its weights come from. Raises: CommandError: they cannot be read, or the data has changed since."""
    torch.manual_seed(config.seed)
    model = VideoClassifier(len(dataset.labels), config.dropout, config.architecture)
    if resumed is None:
        print(f"start: {load_start_weights(model, config.weights, config.backbone, dataset.labels)}", flush=True)
        return model
    if resumed.provenance.fingerprint != dataset.fingerprint():
        raise CommandError(f"{config.dataset} has changed since the run began; start a new run")
    model.load_state_dict(dict(resumed.model))
    print(f"start: epoch {resumed.epoch + 1} of the interrupted run", flush=True)
    return model
