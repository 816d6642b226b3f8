"""Raw results as JSON under ``benchmarks/results``, each with the command and the machine that made it."""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.processor import processor_name

RESULTS = Path(__file__).parent / "results"
_LIBRARIES = (
    "av",
    "numpy",
    "onnxruntime-gpu",
    "onnxruntime",
    "fastapi",
    "uvicorn",
    "torch",
    "torchvision",
    "decord",
    "opencv-python-headless",
    "torchcodec",
)


def write_result(name: str, figures: dict[str, Any]) -> Path:
    """Write ``results/<name>.json``."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    record = {
        "command": command(),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        **figures,
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"wrote {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    return path


def command() -> str:
    """How the running benchmark was called."""
    spec = sys.modules["__main__"].__spec__
    module = spec.name.removesuffix(".__main__") if spec else Path(sys.argv[0]).stem
    return " ".join(["python", "-m", module, *map(_without_folders, sys.argv[1:])])


def _without_folders(argument: str) -> str:
    """Absolute paths say something about a machine's owner and nothing about the figures: their last part is kept."""
    return Path(argument).name if Path(argument).is_absolute() else argument


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        **({"gpu": gpu} if (gpu := _gpu()) else {}),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "libraries": {name: version for name in _LIBRARIES if (version := _version(name))},
        "load_before": round(os.getloadavg()[0], 2),
    }


def _gpu() -> str:
    """Name, memory and driver of the GPUs; empty where there is none."""
    if not shutil.which("nvidia-smi"):
        return ""
    asked = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def percentiles(values: list[float]) -> dict[str, float]:
    """p50, p90, p95 and p99 by nearest rank, and the maximum; in the unit of ``values``."""
    ordered = sorted(values)
    ranks = {f"p{p}": ordered[min(len(ordered) - 1, len(ordered) * p // 100)] for p in (50, 90, 95, 99)}
    return {name: round(value, 3) for name, value in {**ranks, "max": ordered[-1]}.items()}
