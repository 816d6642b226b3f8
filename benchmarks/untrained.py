"""Publish a ResNet-50 that was never trained, in fp32, fp16 and INT8: it is as fast as a trained one, and needs no data."""

import argparse
import hashlib
from datetime import UTC, datetime
from pathlib import Path

import torch

from clips import ClipSpec, GoldenClip, Manifest, TrainingProvenance, Variant, load_clip
from clips.manifest import Precision
from training.export import export_fp32
from training.golden import TOLERANCE, write_golden_video
from training.model import VideoClassifier
from training.onnx_runtime import ClipArray, OnnxClassifier, halve, quantise
from training.repository import building_folder, release
from training.variants import FILES

LABELS = 101
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")


def main() -> None:
    """Write ``FOLDER/untrained/1``."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.untrained",
        description=__doc__,
        epilog="example: python -m benchmarks.untrained build/models --frames 8 --size 224",
    )
    parser.add_argument("repository", type=Path, metavar="FOLDER", help="model repository to publish to")
    parser.add_argument("--frames", type=int, default=8, help="of a clip (default: %(default)s)")
    parser.add_argument("--size", type=int, default=224, help="of a frame, px (default: %(default)s)")
    args = parser.parse_args()
    print(publish_untrained(args.repository, ClipSpec(num_frames=args.frames, height=args.size, width=args.size)))


def publish_untrained(repository: Path, spec: ClipSpec) -> Path:
    """The published version. Raises: SystemExit: it is there already."""
    torch.manual_seed(0)
    model = VideoClassifier(LABELS).eval()
    with building_folder(repository, "untrained") as folder:
        export_fp32(model, spec, folder / FILES["fp32"])
        video = write_golden_video(folder)
        clip = load_clip(video, spec).frames
        halve(folder / FILES["fp32"], folder / FILES["fp16"])
        quantise(folder / FILES["fp32"], folder / FILES["int8"], [clip])
        _manifest(folder, spec, video, clip).write(folder)
        published = release(folder, 1)
    if published is None:
        raise SystemExit(f"{repository / 'untrained' / '1'} is there already")
    return published


def _manifest(folder: Path, spec: ClipSpec, video: Path, clip: ClipArray) -> Manifest:
    probabilities = {precision: OnnxClassifier(folder / FILES[precision])(clip[None])[0] for precision in PRECISIONS}
    return Manifest(
        name="untrained",
        version=1,
        labels=[f"label-{i:03}" for i in range(LABELS)],
        clip_spec=spec,
        variants=[
            Variant(
                file=FILES[precision],
                precision=precision,
                sha256=hashlib.sha256((folder / FILES[precision]).read_bytes()).hexdigest(),
                size_bytes=(folder / FILES[precision]).stat().st_size,
                quantisation="u8s8" if precision == "int8" else None,
                max_abs_difference=float(abs(probabilities[precision] - probabilities["fp32"]).max()),
            )
            for precision in PRECISIONS
        ],
        golden=GoldenClip(
            file=video.name,
            sha256=hashlib.sha256(video.read_bytes()).hexdigest(),
            probabilities={precision: row.tolist() for precision, row in probabilities.items()},
            tolerance={precision: TOLERANCE[precision] for precision in probabilities},
        ),
        metrics={},
        training=TrainingProvenance(
            dataset="none",
            dataset_fingerprint="0" * 64,
            train_clips=0,
            val_clips=0,
            preset="none",
            configuration={},
            seed=0,
            library_versions={"torch": torch.__version__},
        ),
        licence="Apache-2.0",
        created_at=datetime.now(UTC),
    )


if __name__ == "__main__":
    main()
