"""The command line in a process of its own, with models and a hub that are the test's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def environment(hub_url: str, tmp_path: Path, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "HF_ENDPOINT": hub_url,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "0",
        "PICFIND_MODELS": str(tmp_path / "models"),
        **more,
    }


def picfind(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "picfind", *arguments]
    return subprocess.run(command, env=env, capture_output=True, encoding="utf-8", timeout=60)
