"""No picture is lost when the process dies between any two steps of moving copies aside and back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process that can fork is killed")
@pytest.mark.parametrize("way", ["", "no-links", "other-drive"])
def test_a_kill_at_any_step_loses_nothing(tmp_path: Path, way: str) -> None:
    call = [sys.executable, "-m", "tests.duplicates_kill", str(tmp_path), way]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        call, cwd=Path(__file__).parents[1], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40
