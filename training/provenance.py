"""Where a model comes from, for its manifest: data, settings and libraries."""

import platform
from importlib.metadata import version
from pathlib import Path

from clips import TrainingProvenance
from training.checkpoint import Checkpoint
from training.config import NOT_THE_OUTCOME
from training.onnx_runtime import VERSION

_LIBRARIES = ("av", "numpy", "onnx", "scikit-learn", "torch", "torchvision")


def provenance(checkpoint: Checkpoint) -> TrainingProvenance:
    """Names of files, not paths: a path says more about the machine of its owner than about the model."""
    config, origin = checkpoint.settings, checkpoint.provenance
    settings = config.model_dump(mode="json", exclude={"name", *NOT_THE_OUTCOME})
    settings |= {"dataset": origin.dataset, "weights": Path(config.weights).name, "teacher": Path(config.teacher).name}
    return TrainingProvenance(
        dataset=origin.dataset,
        dataset_fingerprint=origin.fingerprint,
        train_clips=origin.train_clips,
        val_clips=origin.val_clips,
        preset=config.preset,
        configuration=settings,
        seed=config.seed,
        library_versions={
            "python": platform.python_version(),
            "onnxruntime": VERSION,
            **{library: version(library) for library in _LIBRARIES},
        },
    )
