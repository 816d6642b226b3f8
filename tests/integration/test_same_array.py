"""The promise of the house: the array that a model is trained and measured on is the array that the server gives it."""

import asyncio
import hashlib
from pathlib import Path

import numpy as np
import pytest

from app.inference.decoder import DecodePolicy, Decoder
from clips import ClipSpec, DecodeLimits
from tests.videos import GOOD_VIDEOS, anamorphic_video, numbered_video, variable_rate_video
from training.dataset import LabelledClip
from training.decoding import decode_clips

SHARED = Path(__file__).parents[3] / "shared" / "data"
SPECS = (ClipSpec(num_frames=8, height=160, width=160), ClipSpec(num_frames=3, height=96, width=128, fit="stretch"))


def own_files(folder: Path) -> list[Path]:
    """Videos of every kind, made here."""
    makers = {**GOOD_VIDEOS, "anamorphic": anamorphic_video, "variable-rate": variable_rate_video, "numbered": numbered_video}
    for name, make in makers.items():
        (folder / name).write_bytes(make())
    return sorted(folder.iterdir())


def real_files() -> list[Path]:
    """Clips filmed by people: every class, and containers of other makers."""
    exercise = sorted((SHARED / "exercise10").glob("*/*.avi"))[::24]
    return exercise + sorted((SHARED / "containers" / "mmaction2-tests").rglob("*.mp4"))


def compare(paths: list[Path], spec: ClipSpec, folder: Path) -> None:
    labelled = [
        LabelledClip(path, path.name, path.parent.name, path.name, "train", hashlib.sha256(path.read_bytes()).hexdigest())
        for path in paths
    ]
    trained_on, skipped = decode_clips(labelled, spec, folder / "frames.dat", workers=0, title="decoding")
    assert not skipped
    served = asyncio.run(decode_as_the_server(paths, spec))
    for i, path in enumerate(paths):
        assert np.array_equal(trained_on.read([i])[0], served[i]), path.name


async def decode_as_the_server(paths: list[Path], spec: ClipSpec) -> list[np.ndarray]:
    decoder = Decoder(DecodePolicy(workers=2, timeout_seconds=30, limits=DecodeLimits()))
    await decoder.start()
    try:
        return [clip.frames for clip in await asyncio.gather(*(decoder.decode(p.read_bytes(), spec) for p in paths))]
    finally:
        await decoder.close()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.fit)
def test_training_and_server_see_the_same_array(spec: ClipSpec, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    compare(own_files(tmp_path / "videos"), spec, tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no {SHARED}: real clips are not part of the repository")
def test_training_and_server_see_the_same_array_of_real_clips(tmp_path: Path) -> None:
    compare(real_files(), SPECS[0], tmp_path)
