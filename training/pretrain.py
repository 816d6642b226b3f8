"""Pre-train a ResNet on videos without labels: two clips of one video shall find each other among those of other videos.

VIDEOS is a folder, searched with its subfolders, or a CSV file with the column path; where it has a column split, its val
clips are left out, and so are those that --probe measures on. --pictures gives a folder of other pictures to learn from
beside them; a picture is a clip without time. The result is runs/NAME/1 with backbone.pt, which
`clipserve train --weights runs/NAME/1` starts from. --probe gives labelled clips on which the features are tried meanwhile, by
their nearest neighbours. Ctrl-C stops the run, --resume runs/NAME/1 goes on.
"""

import argparse
from pathlib import Path

import torch

from clips.errors import CommandError
from training.config_file import config_text
from training.dataset import Dataset, LabelledClip
from training.decoding import DecodedClips, decode_clips
from training.device import Device, choose_device
from training.flags import add_config_flags
from training.interruption import Interruption
from training.knn_probe import KnnProbe, probe_clips
from training.model import VideoClassifier
from training.pairs import ClipPairs
from training.pictures import NO_PICTURES, StoredPictures, read_stored_pictures
from training.plots import Curve, curves_figure
from training.pretrain_config import PretrainConfig
from training.pretraining import Pretraining
from training.processes import check_alone
from training.run_arguments import add_run_arguments, chosen_run
from training.run_folder import RunFolder
from training.unlabelled import read_videos
from training.weights import load_start_weights, save_torch_file

EXAMPLE = "clipserve pretrain my-videos --name general --probe my-clips"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``clipserve pretrain``."""
    add_run_arguments(parser, "videos", "folder of videos, or a CSV file")
    add_config_flags(parser, PretrainConfig, "settings (defaults in brackets)")


def run(args: argparse.Namespace) -> None:
    """Pre-train, and leave ``backbone.pt``.

    Raises: CommandError: the run cannot go on. UsageError: the arguments do not fit. KeyboardInterrupt: it was stopped.
    """
    folder, config = chosen_run(args, PretrainConfig, "videos", "pretrain")
    if args.print_config:
        print(config_text(config, "clipserve pretrain VIDEOS --name NAME --config THIS_FILE"), end="")
        return
    check_alone("pretrain")
    with Interruption().handled() as interruption:
        finished = pretrain(config, folder, args.runs, interruption)
    print(f"wrote {finished.backbone}; next: clipserve train FOLDER --name NAME --weights {finished.path}")


def pretrain(config: PretrainConfig, folder: RunFolder | None, runs: Path, interruption: Interruption) -> RunFolder:
    """One run from the videos to ``backbone.pt``; ``folder`` is given where a run goes on.

    Raises: CommandError, UsageError: an input is missing or unusable, or the loss diverged. KeyboardInterrupt: it was stopped.
    """
    probed = probe_clips(config) if config.probe else None
    videos = _unmeasured(read_videos(Path(config.videos)), probed)
    if len(videos) < 2:
        raise CommandError(
            f"{config.videos} holds {len(videos)} videos to learn from; pre-training learns from how videos differ"
        )
    device = choose_device(config.device, config.precision)
    torch.backends.cudnn.benchmark = True  # every batch has one shape
    torch.manual_seed(config.seed)
    model = VideoClassifier(2, architecture=config.architecture)
    if folder is None or not folder.last.exists():
        print(f"start: {load_start_weights(model, config.weights, config.backbone)}", flush=True)
    model.to(device.torch_device)
    pictures = read_stored_pictures(Path(config.pictures), config.store_spec) if config.pictures else NO_PICTURES
    folder = folder or RunFolder.create(runs, config)
    data = f"{len(videos)} different videos" + (f" and {len(pictures)} different pictures" if pictures else "")
    print(f"data: {data}\ndevice: {device.note}\nrun folder: {folder.path}", flush=True)
    with folder.frame_files() as files:
        decoded, skipped = decode_clips(videos, config.store_spec, files / "videos.dat", config.workers, "decoding")
        folder.write_skipped(skipped)
        for clip in skipped:
            print(f"skipped: {clip.name}: {clip.message} ({clip.code})", flush=True)
        probe = KnnProbe.decoded(probed, config, files, device) if probed else None
        work = Pretraining(config, model, _pairs(decoded, pictures, config, device), probe, device, folder, interruption)
        _fit_or_say_how_to_resume(work)
    save_torch_file(work.backbone(), folder.backbone)
    _write_outcome(work, len(skipped))
    return folder


def _unmeasured(videos: list[LabelledClip], probed: Dataset | None) -> list[LabelledClip]:
    """Without those that the probe measures on: features of what was trained on say little about new videos."""
    measured = {clip.sha256 for clip in probed.part("val")} if probed else set()
    kept = [video for video in videos if video.sha256 not in measured]
    if len(kept) < len(videos):
        print(f"left out: {len(videos) - len(kept)} videos that --probe measures on", flush=True)
    return kept


def _pairs(decoded: DecodedClips, pictures: StoredPictures, config: PretrainConfig, device: Device) -> ClipPairs:
    if len(decoded) < 2:
        raise CommandError("only one video can be decoded; pre-training learns from how videos differ")
    window, augmentation = config.window, config.augmentation
    return ClipPairs(decoded, config.batch_size, config.num_frames, window, augmentation, device.torch_device, pictures)


def _fit_or_say_how_to_resume(work: Pretraining) -> None:
    if work.probe is not None and not work.run.last.exists():
        work.knn_before = work.probe.accuracy(work.model)
        print(f"nearest neighbours before: {work.knn_before:.1%} of {len(work.probe.val)} clips", flush=True)
    try:
        with work.interruption.deferred():
            work.fit()
    except KeyboardInterrupt:
        print(f"stopped in epoch {len(work.epochs) + 1}; go on with: clipserve pretrain --resume {work.run.path}", flush=True)
        raise


def _write_outcome(work: Pretraining, skipped: int) -> None:
    """``curves.png``, and ``summary.json``, which says that the run is complete."""
    epochs, last = [row.epoch for row in work.epochs], work.epochs[-1]
    curves = [Curve(name, epochs, [getattr(row, name) for row in work.epochs]) for name in ("loss", "found")]
    if tried := [row for row in work.epochs if row.knn_accuracy is not None]:
        curves.append(Curve("nearest neighbours", [row.epoch for row in tried], [row.knn_accuracy or 0.0 for row in tried]))
    curves_figure(curves, f"{work.config.name}, run {work.run.path.name}").savefig(work.run.curves, dpi=130)
    summary = {
        "videos": len(work.pairs.decoded),
        "pictures": len(work.pairs.pictures),
        "skipped_videos": skipped,
        "epochs": last.epoch,
        "loss": last.loss,
        "found": last.found,
        "knn_accuracy_before": work.knn_before,
        "knn_accuracy": last.knn_accuracy,
        "training_seconds": sum(row.seconds for row in work.epochs),
    }
    work.run.write_summary(summary)
