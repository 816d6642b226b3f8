"""The model to serve, told to sample frames in another way than it was trained with: what a model trained so would cost."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from clips import Manifest


@contextmanager
def sampled_model(version: Path, sampling: str | None) -> Iterator[Path]:
    """A copy of a published version with this sampling, gone with the block; the version itself where none is asked for.

    Its golden clip passes as long as the tolerance of the variant allows the few other frames.
    """
    if sampling is None:
        yield version
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / version.parent.name / version.name
        shutil.copytree(version, copy)
        manifest = Manifest.read(version)
        spec = manifest.clip_spec.model_copy(update={"sampling": sampling})
        manifest.model_copy(update={"clip_spec": spec}).write(copy)
        yield copy
