"""The processor that figures were measured on."""

import platform
from pathlib import Path


def processor_name() -> str:
    """As Linux calls it; elsewhere what Python knows, which may be its architecture alone."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
