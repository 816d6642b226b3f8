"""What a peer is told when it starts: one variable of its environment, because not every framework passes arguments on."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from clips import Manifest, Variant

VARIABLE = "CLIPSERVE_PEER_TASK"


@dataclass(frozen=True)
class Task:
    """What to serve, and how."""

    model: str
    """Folder of a published version."""
    decoder: str = "clips"
    """A name of ``benchmarks.peers.decoders``."""
    port: int = 0
    workers: int = 2
    """Processes or threads, each with one clip or one batch at a time."""
    batch_size: int = 1
    """Largest batch; 1 for none."""
    style: str = ""
    """Which arrangement of the framework's parts, where there are several."""
    limit: int | None = None
    """Most requests in the server, as far as the framework can bound them; None: its default."""
    give_up_seconds: float | None = None
    """Time after which a request that waits may be dropped; None: the framework's default."""

    @property
    def environment(self) -> dict[str, str]:
        """The variable that carries this task."""
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def from_environment(cls) -> "Task":
        """Raises: KeyError: there is none."""
        return cls(**json.loads(os.environ[VARIABLE]))


def served_variant(manifest: Manifest) -> Variant:
    """The file that every contestant runs: INT8 where it was published, as our server takes on a CPU."""
    return manifest.variant("int8") or manifest.variants[0]


def read_model(folder: str) -> tuple[Manifest, bytes]:
    """Manifest and ONNX file of a published version."""
    manifest = Manifest.read(Path(folder))
    return manifest, (Path(folder) / served_variant(manifest).file).read_bytes()
