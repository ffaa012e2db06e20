"""What a measurement was made on."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

from picfind.settings import cores


def describe(*packages: str) -> str:
    """The processor, its cores, Python, and the versions of some packages, in one line."""
    told = [f"{package} {version(package)}" for package in ("numpy", *packages)]
    return ", ".join([_processor(), f"{cores()} cores", f"Python {platform.python_version()}", *told])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
