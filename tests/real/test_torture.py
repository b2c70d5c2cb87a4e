"""The torture of `benchmarks/torture.py`, shortened: killed anywhere, a run loses, doubles and spoils nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import repx

TORTURE = Path(repx.__file__).parent.parent / "benchmarks" / "torture.py"


def test_killed_again_and_again_everything_is_right_in_the_end() -> None:
    argv = [sys.executable, str(TORTURE), "--kills", "8", "--jobs", "64"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    # In its second half, jobs took results; a torture that never comes to that would show nothing of it.
    counts = [int(count) for count in re.findall(r"(\d+) adopted", done.stdout)]
    assert len(counts) == 2
    assert counts[1] > 0
