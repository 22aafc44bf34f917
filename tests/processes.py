"""Code that runs in a Python process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap


def run(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env={**os.environ, **env},
                          capture_output=True, text=True, check=False, timeout=120)


def added_memory(warm: str, work: str) -> int:
    """KiB by which `work` raises the peak of a process that has run `warm` (Linux). VmHWM begins anew with a
    program; ru_maxrss begins at the peak of the process that started it."""
    done = run("\n".join([
        "import numpy as np, fastinit as fi",
        "peak = lambda: next(int(s.split()[1]) for s in open('/proc/self/status') if s.startswith('VmHWM'))",
        warm,
        "before = peak()",
        work,
        "print(peak() - before)",
    ]))  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
