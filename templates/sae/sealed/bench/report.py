"""Reads the output of sae_bench: its errors, its prints, and the file that it should have written."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.bench_sae import BenchSAE
from encoder.faults import CannotEvaluate


class BenchOutput(logging.Handler):
    """Errors that sae_bench logged and lines that it printed. The last of them explain a failure."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.printed, self.errors = io.StringIO(), list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        self.errors.append(record.getMessage())

    def last(self) -> str:
        lines = [line for line in self.printed.getvalue().splitlines() if line.strip()]
        return " | ".join(self.errors[-1:] or lines[-2:]) or "it printed nothing"


@contextlib.contextmanager
def reported(name: str, saes: Sequence[BenchSAE]) -> Iterator[BenchOutput]:
    """Run a block of sae_bench's code, and keep its prints and warnings from this process's output.

    Raises: BrokenSAE, as encode or decode raised it. CannotEvaluate for any other exception of sae_bench.
    """
    report, logger = BenchOutput(), logging.getLogger("sae_bench")
    logger.addHandler(report)
    try:
        with contextlib.redirect_stdout(report.printed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield report
    except Exception as e:
        check_faults(saes)
        reason = f"{type(e).__name__}: {e}".strip()
        raise CannotEvaluate(f"sae_bench's {name} failed: {reason[:600]}; last it said: {report.last()[:400]}") from e
    finally:
        logger.removeHandler(report)
    check_faults(saes)


def check_faults(saes: Sequence[BenchSAE]) -> None:
    for sae in saes:
        if sae.fault is not None:
            raise sae.fault


def read_results(
    name: str, folder: Path, sae: BenchSAE, paths: dict[str, str], report: BenchOutput
) -> tuple[Any, dict[str, float]]:
    """The file that sae_bench wrote on one SAE, and the metrics that `paths` name in it.

    Raises: CannotEvaluate if there is none, or a key is missing or no number.
    """
    path = folder / f"{sae.name}_custom_sae_eval_results.json"
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as e:
        raise CannotEvaluate(f"sae_bench's {name} wrote no result; last it said: {report.last()[:600]}") from e
    found = content.get("eval_result_metrics")
    metrics = {}
    for metric, where in paths.items():
        value = found
        for key in where.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if not isinstance(value, int | float) or isinstance(value, bool):
            version = importlib.metadata.version("sae-bench")
            raise CannotEvaluate(f"the result of sae_bench's {name} has no number at {where} (version {version})")
        metrics[metric] = float(value)
    return content, metrics
