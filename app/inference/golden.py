"""The golden clip: a model calls itself ready once it gives the probabilities that were published with it."""

import asyncio

import numpy as np

from app.inference.decoder import Decoder
from app.inference.engine import Engine
from app.inference.repository import PublishedModel
from app.inference.video_file import VideoFile
from app.observability import logs
from clips import ClipError


async def golden_mismatch(model: PublishedModel, engine: Engine, decoder: Decoder) -> str | None:
    """Run the golden video as a request would; None where it passes, else what is wrong.

    Raises: ModelRefused: its file is missing or was changed.
    """
    golden = model.manifest.golden
    precision = engine.variant.precision
    try:
        with VideoFile.of(await asyncio.to_thread(model.read_golden)) as video:
            clip = await decoder.decode(video, model.manifest.clip_spec)
    except ClipError as problem:
        return f"the golden clip of {model.title} cannot be decoded: {problem}"
    try:
        expected = np.array(golden.probabilities[precision], np.float32)
        rows = [await asyncio.to_thread(session.run, [clip.frames]) for session in engine.sessions]
        difference = max(float(np.abs(row[0] - expected).max()) for row in rows)
    except Exception:  # noqa: BLE001 whatever the model raises or gives, it is the model's fault
        logs.exception("golden_clip_failed", model=model.title)
        return f"the model fails on the golden clip of {model.title} ({precision} on {engine.provider})"
    if difference <= golden.tolerance[precision]:
        return None
    return (
        f"the golden clip of {model.title} ({precision} on {engine.provider}) is off by {difference:.4f}; "
        f"at most {golden.tolerance[precision]:g} is allowed"
    )
