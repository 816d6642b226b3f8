"""Export a checkpoint to ONNX, compare the files with torch, and publish them as the next version of a model.

The data that the checkpoint was trained on is needed too: its training clips calibrate INT8, and its validation clips
show whether each file answers like torch. A file that does not is refused with the figures.
"""

import argparse
import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from clips import GoldenClip, Manifest, TrainingProvenance, Variant, load_clip
from clips.errors import UsageError
from clips.manifest import Precision
from training.checkpoint import Checkpoint
from training.classification import classify_all
from training.decoding import DecodedClips, decode_clips
from training.feeding import label_targets
from training.golden import TOLERANCE, write_golden_video
from training.held_out import calibration_clips, training_data
from training.model_card import model_card
from training.model_source import torch_logits
from training.onnx_runtime import VERSION, OnnxClassifier
from training.parity import AnyParity
from training.report import copy_curves, write_report
from training.repository import building_folder, check_model_name, next_version, release
from training.task import TASKS
from training.variants import FILES, Trial, make_variants

EXAMPLE = "clipserve export runs/my-model/1/best.pt --name my-model"

_LIBRARIES = ("av", "numpy", "onnx", "scikit-learn", "torch", "torchvision")


@dataclass(frozen=True)
class Publication:
    """What to publish, and how."""

    checkpoint: Path
    name: str
    repository: Path
    data: Path | None = None
    """Where the training data is now; None: where it was."""
    variants: tuple[Precision, ...] = ("fp32", "int8")
    strict: bool = False
    """A refused variant stops everything, instead of being left out."""
    calibration_clips: int = 128
    fits_temperature: bool = True
    """Probabilities are made as sure as they are right on the validation clips."""
    licence: str = "not stated"
    notes: str = ""
    workers: int = -1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``clipserve export``."""
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="best.pt or last.pt of a run")
    parser.add_argument("--name", required=True, help="of the model: small letters, digits, - and _")
    parser.add_argument(
        "--variants", help="files to make, separated by commas: fp32,fp16,int8; each must pass [fp32 and int8, where they pass]"
    )
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="the training data, if it is not where it was")
    parser.add_argument("--model-repository", type=Path, default=Path("models"), metavar="FOLDER", help="[models]")
    parser.add_argument(
        "--calibration-clips", type=int, default=128, metavar="N", help="training clips that set INT8 ranges [128]"
    )
    parser.add_argument(
        "--temperature",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="make probabilities as sure as they are right, by one number fitted on the validation clips [yes]",
    )
    parser.add_argument("--licence", default="not stated", help="of the model, for the manifest and the model card")
    parser.add_argument("--notes", type=Path, metavar="FILE", help="Markdown on data and licence, for the model card")
    parser.add_argument("--workers", type=int, default=-1, metavar="N", help="processes that decode; -1 = one per core [-1]")


def run(args: argparse.Namespace) -> None:
    """Publish one checkpoint. Raises: CommandError, UsageError."""
    if args.notes and not args.notes.is_file():
        raise UsageError(f"there is no file {args.notes}")
    publish(
        Publication(
            checkpoint=args.checkpoint,
            name=args.name,
            repository=args.model_repository,
            data=args.data,
            variants=_parse_variants(args.variants) if args.variants else ("fp32", "int8"),
            strict=args.variants is not None,
            calibration_clips=args.calibration_clips,
            fits_temperature=args.temperature,
            licence=args.licence,
            notes=args.notes.read_text(encoding="utf-8") if args.notes else "",
            workers=args.workers,
        )
    )


def publish(publication: Publication) -> Path:
    """Make the files, check them, and rename the finished folder to ``<repository>/<name>/<version>``.

    Raises: CommandError: wrong checkpoint, missing data, or files that do not answer like torch.
    """
    check_model_name(publication.name)
    checkpoint = Checkpoint.load(publication.checkpoint)
    dataset = training_data(checkpoint, publication.data)
    chosen = calibration_clips(dataset, publication.calibration_clips, checkpoint.settings.seed)
    with (
        building_folder(publication.repository, publication.name) as folder,
        TemporaryDirectory(dir=folder.parent, prefix=".frames-") as files,
    ):
        val, _ = decode_clips(dataset.part("val"), checkpoint.spec, Path(files) / "val.dat", publication.workers, "decoding")
        calibration, _ = decode_clips(chosen, checkpoint.spec, Path(files) / "train.dat", publication.workers, "decoding")
        trial = _trial(checkpoint, calibration, val, publication.fits_temperature)
        kept = make_variants(trial, publication.variants, folder, publication.strict)
        return _finish(folder, publication, checkpoint, trial, kept)


def _trial(checkpoint: Checkpoint, calibration: DecodedClips, val: DecodedClips, fits_temperature: bool) -> Trial:
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
    return Trial(checkpoint.classifier(), checkpoint.spec, calibration, val, truth, probabilities, temperature, task)


def _finish(
    folder: Path, publication: Publication, checkpoint: Checkpoint, trial: Trial, kept: Sequence[tuple[Variant, AnyParity]]
) -> Path:
    """Golden clip, report, manifest, rename; again under the next number if somebody else took this one."""
    metrics = trial.task.measure(trial.torch_probabilities, trial.targets, checkpoint.labels)
    figures = metrics.headline() | {
        "calibration_error": trial.task.reliability(trial.torch_probabilities, trial.targets).error,
        "temperature": trial.temperature,
    }
    answers = {"task": trial.task.name, "labels": checkpoint.labels, "thresholds": metrics.thresholds, "metrics": figures}
    golden = _golden(folder, checkpoint, [variant.precision for variant, _ in kept])
    while True:
        manifest = _manifest(publication, checkpoint, answers, [variant for variant, _ in kept], golden)
        card = model_card(manifest, checkpoint.provenance, metrics, [parity for _, parity in kept], publication.notes)
        write_report(folder / "report", card, metrics, [parity for _, parity in kept], trial.task)
        copy_curves(publication.checkpoint.parent, folder / "report")
        manifest.write(folder)
        if (published := release(folder, manifest.version)) is not None:
            print(f"published: {published}", flush=True)
            return published


def _golden(folder: Path, checkpoint: Checkpoint, precisions: list[Precision]) -> GoldenClip:
    video = write_golden_video(folder)
    clip = load_clip(video, checkpoint.spec).frames[None]
    expected = {precision: OnnxClassifier(folder / FILES[precision])(clip)[0].tolist() for precision in precisions}
    sha256 = hashlib.sha256(video.read_bytes()).hexdigest()
    tolerance = {precision: TOLERANCE[precision] for precision in precisions}
    return GoldenClip(file=video.name, sha256=sha256, probabilities=expected, tolerance=tolerance)


def _manifest(
    publication: Publication, checkpoint: Checkpoint, answers: dict[str, Any], variants: list[Variant], golden: GoldenClip
) -> Manifest:
    """``answers``: what the model answers, and how good it is."""
    return Manifest(
        name=publication.name,
        version=next_version(publication.repository, publication.name),
        **answers,
        clip_spec=checkpoint.spec,
        variants=variants,
        golden=golden,
        training=_provenance(checkpoint),
        licence=publication.licence,
        created_at=datetime.now(UTC),
    )


def _provenance(checkpoint: Checkpoint) -> TrainingProvenance:
    """Names of files, not paths: a path says more about the machine of its owner than about the model."""
    config, origin = checkpoint.settings, checkpoint.provenance
    settings = config.model_dump(mode="json", exclude={"name", "device", "workers"})
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


def _parse_variants(text: str) -> tuple[Precision, ...]:
    names = [name.strip() for name in text.split(",")]
    wanted = tuple(precision for precision in FILES if precision in names)
    if len(wanted) != len(names):
        raise UsageError(f"--variants {text}: give one or more of {','.join(FILES)}")
    return wanted
