"""Tests of the sealed modules: run by an interpreter of the template's, where torch is, and skipped by one without.

tests/templates/test_sealed.py runs them file by file in the interpreter that SCIENTIST_SAE_LM_PYTHON names and lends it
pytest and hypothesis. One file by hand, where that interpreter has pytest itself:

    $SCIENTIST_SAE_LM_PYTHON -m pytest tests/templates/sae/test_serving.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

SEALED = Path(__file__).resolve().parents[3] / "templates" / "sae" / "sealed"
sys.path.insert(0, str(SEALED))


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Timings and sums that do not depend on how many cores there are."""
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)
