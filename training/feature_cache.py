"""Features of clips on disk, from one run to the next: a file for each look at a clip, named after what decides its content.

FOLDER/3f/3fa9...  =  SHA-256 of what follows and of the name, then an array of NumPy, float32 (frames, features)

Nothing is ever changed in it, and nothing is lost with it but time: the folder may be removed whenever no run uses it.
"""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

import clips
from clips.errors import CommandError

_DIGEST_BYTES = 32
_PACKAGES = ("av", "numpy", "torch", "torchvision")
_MODULES = ("augment", "feature_cache", "features", "feeding", "model", "reading", "temporal_shift")
"""Of training, beside all of ``clips``: the code that a feature comes out of."""

Features = NDArray[np.float32]


class FeatureCache:
    """The folder, and what all clips of a run have in common: network, processor, precision, libraries."""

    def __init__(self, folder: Path, common: Mapping[str, Any]) -> None:
        self.folder, self._common = folder, {**common, "made_by": _made_by()}
        self.found = self.computed = 0

    def key(self, sha256: str, look: Mapping[str, Any]) -> str:
        """The name of an entry: ``sha256`` of the clip's file, ``look`` all that is done to its frames."""
        content = json.dumps([self._common, sha256, look], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def read(self, key: str) -> Features | None:
        """(frames, features); None, and a note on the terminal, where the entry is damaged; None where there is none.

        Raises: CommandError: it is there and cannot be read.
        """
        try:
            content = self._file(key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise self._failure("read", problem) from problem
        if content[:_DIGEST_BYTES] != _digest(key, content[_DIGEST_BYTES:]):
            print(f"feature cache: {self._file(key)} is damaged and removed; its clip is computed again", flush=True)
            self._file(key).unlink(missing_ok=True)
            return None
        features: Features = np.load(io.BytesIO(content[_DIGEST_BYTES:]), allow_pickle=False)
        return features

    def write(self, key: str, features: Features) -> None:
        """By one atomic rename: a run that is stopped, or another one beside it, never sees half an entry.

        Raises: CommandError: it cannot be written.
        """
        buffer = io.BytesIO()
        np.save(buffer, features, allow_pickle=False)
        file = self._file(key)
        temporary = file.with_suffix(f".{os.getpid()}.tmp")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(_digest(key, buffer.getvalue()) + buffer.getvalue())
            os.replace(temporary, file)  # noqa: PTH105 - the same call as in publish.py, where atomicity is the point
        except OSError as problem:
            raise self._failure("written", problem) from problem
        finally:
            with suppress(OSError):
                temporary.unlink()

    def _file(self, key: str) -> Path:
        return self.folder / key[:2] / key

    def _failure(self, what: str, problem: OSError) -> CommandError:
        return CommandError(
            f"--feature-cache {self.folder} cannot be {what}: {problem.strerror}; give another folder, or leave it out"
        )


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 (hexadecimal) over names and values; how many batches a statistic comes from does not count."""
    digest = hashlib.sha256()
    for name in sorted(state):
        if not name.endswith("num_batches_tracked"):
            digest.update(f"{name} {state[name].dtype} {tuple(state[name].shape)} ".encode())
            digest.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _made_by() -> dict[str, str]:
    """Versions of libraries, and a hash of our own code: what changes figures without a setting that tells."""
    here = Path(__file__).parent
    files = [*sorted(Path(clips.__file__).parent.glob("*.py")), *(here / f"{name}.py" for name in _MODULES)]
    code = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return {"code": code, **{package: version(package) for package in _PACKAGES}}


def _digest(key: str, content: bytes) -> bytes:
    return hashlib.sha256(key.encode() + content).digest()
