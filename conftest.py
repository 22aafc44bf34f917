"""Lets tests and benchmarks import `bench`; an installed fastinit stays ahead of the checkout's."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
