"""Tests of the sealed modules, which run in an interpreter of the template's and are skipped if there is no torch.

tests/templates/test_sealed.py runs them file by file in the interpreter that SCIENTIST_SAE_LM_PYTHON names and lends it
pytest and hypothesis. One file by hand, if that interpreter has pytest itself:

    $SCIENTIST_SAE_LM_PYTHON -m pytest tests/templates/sae/encoder/test_run_encoder.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

SEALED = Path(__file__).resolve().parents[3] / "templates" / "sae" / "sealed"
sys.path.insert(0, str(SEALED))


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Make timings and sums independent of the number of cores."""
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)
