"""Export a checkpoint to ONNX, compare the files with torch, and publish them as the next version of a model.

The data that the checkpoint was trained on is needed too: its training clips calibrate INT8, and its validation clips
show whether each file answers like torch. A file that does not is refused with the figures.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from clips import GoldenClip, Manifest, Variant
from clips.errors import UsageError
from clips.manifest import Precision, Quantisation
from training.checkpoint import Checkpoint
from training.dataset import LabelledClip
from training.decoding import DecodedClips, decode_clips
from training.golden import golden_clip
from training.held_out import calibration_clips, training_data
from training.latency import Benchmark, benchmark
from training.latency_table import latency_text
from training.model_card import model_card
from training.provenance import provenance
from training.report import CheckedFiles, copy_curves, write_report
from training.repository import building_folder, check_model_name, next_version, release
from training.trial import Trial, trial_of
from training.variants import FILES, CheckedVariant, make_variants

EXAMPLE = "clipserve export runs/my-model/1/best.pt --name my-model"

_INT8: dict[str, Quantisation] = {"cpu": "u8s8", "tensorrt": "s8s8"}


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
    quantisation: Quantisation = "u8s8"
    """Of the INT8 file."""
    benchmark: bool = False
    """How long each file takes for a clip goes into the report."""
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
        "--int8",
        choices=list(_INT8),
        default="cpu",
        help="what the INT8 file is made for; a CPU computes one for TensorRT in floating point, slower than fp32 [cpu]",
    )
    parser.add_argument(
        "--benchmark", action="store_true", help="measure how long each file takes for a clip on this machine, for the report"
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
    variants = _parse_variants(args.variants) if args.variants else ("fp32", "int8")
    if args.int8 != "cpu" and "int8" not in variants:
        raise UsageError(f"--int8 {args.int8}: int8 is not among --variants {args.variants}")
    publish(
        Publication(
            checkpoint=args.checkpoint,
            name=args.name,
            repository=args.model_repository,
            data=args.data,
            variants=variants,
            strict=args.variants is not None,
            calibration_clips=args.calibration_clips,
            quantisation=_INT8[args.int8],
            benchmark=args.benchmark,
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
        val, calibration = (
            _decoded(clips, checkpoint, Path(files) / name, publication.workers)
            for name, clips in (("val.dat", dataset.part("val")), ("train.dat", chosen))
        )
        trial = trial_of(checkpoint, calibration, val, publication.quantisation, fits_temperature=publication.fits_temperature)
        kept = make_variants(trial, publication.variants, folder, publication.strict)
        return _finish(folder, publication, checkpoint, trial, kept)


def _decoded(clips: Sequence[LabelledClip], checkpoint: Checkpoint, file: Path, workers: int) -> DecodedClips:
    """Those that can be decoded; the others are named."""
    decoded, skipped = decode_clips(clips, checkpoint.spec, file, workers, "decoding")
    for clip in skipped:
        print(f"skipped: {clip.name}: {clip.message} ({clip.code})", flush=True)
    return decoded


def _finish(
    folder: Path, publication: Publication, checkpoint: Checkpoint, trial: Trial, kept: Sequence[CheckedVariant]
) -> Path:
    """Golden clip, report, manifest, rename; again under the next number if somebody else took this one."""
    metrics = trial.task.measure(trial.torch_probabilities, trial.targets, checkpoint.labels)
    figures = metrics.headline() | {
        "calibration_error": trial.task.reliability(trial.torch_probabilities, trial.targets).error,
        "temperature": trial.temperature,
    }
    answers = {"task": trial.task.name, "labels": checkpoint.labels, "thresholds": metrics.thresholds, "metrics": figures}
    variants = [each.variant for each in kept]
    files = {variant.precision: folder / variant.file for variant in variants}
    golden = golden_clip(folder, checkpoint.spec, files)
    measured = benchmark(files, checkpoint.spec) if publication.benchmark else Benchmark()
    if publication.benchmark:
        print(latency_text(variants, measured), flush=True)
    while True:
        manifest = _manifest(publication, checkpoint, answers, variants, golden)
        card = model_card(manifest, checkpoint.provenance, metrics, measured, publication.notes)
        write_report(folder / "report", card, metrics, CheckedFiles(kept, measured), trial.task)
        copy_curves(publication.checkpoint.parent, folder / "report")
        manifest.write(folder)
        if (published := release(folder, manifest.version)) is not None:
            print(f"published: {published}", flush=True)
            return published


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
        training=provenance(checkpoint),
        licence=publication.licence,
        created_at=datetime.now(UTC),
    )


def _parse_variants(text: str) -> tuple[Precision, ...]:
    names = [name.strip() for name in text.split(",")]
    wanted = tuple(precision for precision in FILES if precision in names)
    if len(wanted) != len(names):
        raise UsageError(f"--variants {text}: give one or more of {','.join(FILES)}")
    return wanted
