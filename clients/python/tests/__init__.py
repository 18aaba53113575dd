"""Tests over the real daemon and the real dev cloud, from ``CODITECT_BIN_DIR`` or ``target/debug``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
