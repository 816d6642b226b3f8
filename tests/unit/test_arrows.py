"""The house: who may import whom, and which module alone may import a library or read the environment."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FORBIDDEN = {
    "clips": {"torch", "torchvision", "fastapi", "starlette", "onnxruntime", "onnx", "app", "training"},
    "training": {"app", "fastapi", "starlette", "uvicorn"},
    "app": {"torch", "torchvision", "training", "onnx"},
    "app/inference": {"app.api", "app.main", "app.settings", "fastapi", "starlette", "uvicorn"},
    "app/api": {"app.main", "onnxruntime", "av"},
    "app/observability": {"app.api", "app.inference", "app.main", "app.settings"},
    "app/errors.py": {"app.api", "app.inference", "app.observability", "app.settings"},
}


def sources(folder: str) -> list[Path]:
    path = ROOT / folder
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def imports(path: Path) -> Iterator[str]:
    """Full names of what a module imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers(library: str, folder: str) -> set[str]:
    """Modules below ``folder`` that import ``library``."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in sources(folder)
        if any(name == library or name.startswith(library + ".") for name in imports(path))
    }


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_arrows_point_one_way(folder: str) -> None:
    for path in sources(folder):
        for name in imports(path):
            broken = {target for target in FORBIDDEN[folder] if name == target or name.startswith(target + ".")}
            assert not broken, f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize(
    ("library", "folder"),
    [
        ("onnxruntime", "app"),
        ("prometheus_client", "app"),
        ("opentelemetry", "app"),
        ("onnxruntime", "training"),
        ("torch.utils.tensorboard", "training"),
        ("mlflow", "training"),
    ],
)
def test_a_library_has_one_door(library: str, folder: str) -> None:
    assert len(importers(library, folder)) == 1, importers(library, folder)


def test_settings_are_read_in_one_place() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in sources("app")
        if "BaseSettings" in path.read_text() or "os.environ" in path.read_text() or "getenv" in path.read_text()
    }
    assert readers == {"app/settings.py"}


def test_the_server_leaves_torch_alone() -> None:
    probe = "import sys, app.main; print(sorted({'torch', 'torchvision', 'training'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"
