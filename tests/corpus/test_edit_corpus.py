"""The edit engine on real replies, where they lie beside the checkout: those the old system applied or failed."""

from __future__ import annotations

import ast
import json
import lzma
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.core.edit.apply import Reason, apply_reply

CORPUS = Path(__file__).parents[2].parent / "shared" / "edits"
RULES = {Reason.AMBIGUOUS, Reason.NOT_EDITABLE, Reason.SYNTAX}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real replies is not beside this checkout"),
]


def _rows(name: str) -> Iterator[Any]:
    with lzma.open(CORPUS / name, "rt", encoding="utf-8", newline="") as file:
        yield from map(json.loads, file)


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def test_real_replies() -> None:
    text: dict[str, str] = dict(_rows("files.jsonl.xz"))
    applied, failed, differs = Counter[str](), Counter[str](), []
    for case in _rows("cases.jsonl.xz"):
        before = {k: text[h] for k, h in case["files"].items()}
        after = before | {k: text[h] for k, h in case["after"].items()}
        result = apply_reply(before, case["reply"], editable=[*before, "plot.py", "notes.txt"])
        new = before | result.files
        for path, code in new.items():
            assert not path.endswith(".py") or not _parses(before.get(path, "")) or _parses(code), case["id"]
        if case["failed_blocks"] or case["malformed"]:
            failed["applied" if result.changed else "refused"] += 1
            assert result.changed or all(r.hint for r in result.rejected)
        elif new == after:
            applied["same"] += 1
        elif result.rejected:
            assert {r.reason for r in result.rejected} <= RULES, case["id"]
            applied["refused by a rule"] += 1
        else:
            differs.append(case["id"])
    assert len(differs) <= 2, differs  # the old engine glued lines, or wrote a final newline where the edit was not
    assert applied["refused by a rule"] <= 9 and applied["same"] >= 430
    assert failed["applied"] >= 15
