from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.edit.apply import EditResult, apply_reply
from agent.core.reply.plan import parse_reply
from tests.examples import examples

RATE = "    rate = 1\n    return rate\n"
CODE = f"import sys\n\n\ndef load():\n{RATE}\n\ndef save():\n{RATE}\n\nN = 2\n"
FILES = {"experiment.py": CODE, "notes.txt": "# Study\n\n- first\n", "plot.py": ""}
HEAD = "--- a/experiment.py\n+++ b/experiment.py\n"
HUNK = "@@ -13,2 +13,2 @@ def save():\n \n-N = 2\n+N = 3\n"
SEARCH = "experiment.py\n<<<<<<< SEARCH\nimport sys\n=======\nimport os\n>>>>>>> REPLACE\n"


def edit(reply: str, files: dict[str, str] | None = None) -> EditResult:
    return apply_reply(FILES if files is None else files, reply, editable=list(FILES))


def code_after(reply: str) -> str:
    result = edit(reply)
    assert not result.rejected, result.rejected
    return result.files["experiment.py"]


def refused(reply: str) -> str:
    result = edit(reply)
    assert result.rejected and not result.changed
    return f"{result.rejected[0].reason}: {result.rejected[0].hint}"


@pytest.mark.parametrize(
    "reply",
    [
        f"So:\n\n```diff\n{HEAD}{HUNK}```\nDone.\n",
        f"So:\n\n{HEAD}{HUNK}\nThat raises N.\n- It is larger.\n+ It is slower.\n",
        f"{HEAD}{HUNK}",
        f"```\ndiff --git a/experiment.py b/experiment.py\nindex 1a..2b 100644\n{HEAD}{HUNK}```\n",
        f"diff --git a/experiment.py b/experiment.py\nindex 1a..2b 100644\n{HEAD}{HUNK}",
        "```diff\n--- experiment.py\n+++ experiment.py\n@@ ... @@\n-N = 2\n+N = 3\n```\n",
        "```diff\n--- experiment.py (old)\n+++ experiment.py (new)\n@@\n-N = 2\n+N = 3\n```\n",
        "```diff\n--- experiment.py.orig\n+++ experiment.py\n@@ -14 +14 @@\n-N = 2\n+N = 3\n```\n",
        "```diff\n--- experiment.py 2024-01-01 10:00\n+++ experiment.py 2024-01-02\n@@ @@\n-N = 2\n+N = 3\n```\n",
        "```diff\n--- experiment.py\t2024-01-01\n+++ experiment.py\t2024-01-02\n@@ -14 +14 @@\n-N = 2\n+N = 3\n```\n",
        "```diff\n--- old/experiment.py\n+++ new/experiment.py\n@@ -70,9 +99,2 @@\n-N = 2\n+N = 3\n```\n",
        "experiment.py\n```diff\n-N = 2\n+N = 3\n```\n",
        "experiment.py\n\n```diff\n- N = 2\n+ N = 3\n```\n",
        "### experiment.py\nAs said:\n```patch\n@@ -14 +14 @@\n-N = 2\n+N = 3\n\\ No newline at end of file\n```\n",
        f"````markdown\n```diff\n{HEAD}{HUNK}```\n````\n",
        f"\ufeff{HEAD}{HUNK}".replace("\n", "\r\n"),
        f"1. ```diff\n{HEAD}{HUNK}   ```\n",
    ],
)
def test_a_diff_in_any_dress_is_applied(reply: str):
    assert code_after(reply) == CODE.replace("N = 2", "N = 3")


def test_hunks_of_several_files_apply_together_or_not_at_all():
    notes = "--- a/notes.txt\n+++ b/notes.txt\n@@ -1,3 +1,4 @@\n # Study\n \n - first\n+- second\n"
    result = edit(f"```diff\n{HEAD}{HUNK}{notes}```\n")
    assert result.files["notes.txt"].endswith("- first\n- second\n") and "N = 3" in result.files["experiment.py"]
    assert "not found" in refused(f"{SEARCH}\n```diff\n{HEAD}{HUNK.replace('-N = 2', '-N = 4')}```\n")
    assert "not found" in refused(
        f"```diff\n{HEAD}@@ -1 +1 @@\n-import os\n+import re\n@@ -14 +14 @@\n-N = 2\n+N = 3\n```\n"
    )


def test_a_hunk_that_fits_twice_is_put_where_its_head_says():
    body = "-    rate = 1\n+    rate = 2\n     return rate\n"
    second = CODE[::-1].replace("1 = etar", "2 = etar", 1)[::-1]
    assert code_after(f"{HEAD}@@ -10,2 +10,2 @@\n{body}") == second
    assert code_after(f"{HEAD}@@ def save():\n{body}") == second
    assert code_after(f"{HEAD}@@ -5,2 +5,2 @@\n{body}") == CODE.replace("rate = 1", "rate = 2", 1)


@pytest.mark.parametrize(
    "head", ["@@", "@@ ... @@", "@@ -10,4 +10,2 @@", "@@ -9,2 +9,2 @@", "@@ def other():", "@@ import sys"]
)
def test_a_hunk_that_fits_twice_is_refused_if_its_head_does_not_decide(head: str):
    assert "several places" in refused(f"{HEAD}{head}\n-    rate = 1\n+    rate = 2\n     return rate\n")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (f"{HUNK}", "without the lines --- and +++"),
        ("--- a/experiment.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-import sys\n", "deletes a file"),
        ("diff --git a/plot.py b/figure.py\nrename from plot.py\nrename to figure.py\n", "renames"),
        ("--- a/plot.py\n+++ b/experiment.py\n" + HUNK, "names two files"),
        (f"{HEAD}\nNo hunk.\n", "holds no hunk"),
        (f"{HEAD}@@ -0,0 +1,2 @@\n+import os\n+N = 5\n", "make experiment.py anew"),
        (f"{HEAD}@@ -3,0 +4 @@\n+N = 5\n", "shows none that stand beside them"),
        (f"```diff\n{HEAD}@@ -13,3 +13,3 @@\n-N = 2\n+N = 3\nimport re\n```\n", "is none of a diff"),
        (f"```diff\n{HEAD}@@ -1,2 +1,2 @@\n-import sys\n+import os\n```\n+import re\n", "behind its fence"),
        ("experiment.py\n```diff\n-N = 2\n+N = 3\nM = 3\n```\n", "is none of a diff"),
        ("setup.py\n```diff\n-N = 2\n+N = 3\n```\n", "may not be edited"),
        ("--- a/../x.py\n+++ b/../x.py\n@@ -1 +1 @@\n-N = 2\n+N = 3\n", "not a path inside"),
    ],
)
def test_a_diff_that_is_not_understood_for_certain_is_refused(reply: str, said: str):
    assert said in refused(SEARCH + reply)


def test_a_diff_adds_lines_to_a_new_file_and_at_the_end():
    new = "--- /dev/null\n+++ b/plot.py\n@@ -0,0 +1,2 @@\n+import sys\n+\n"
    assert edit(new).files["plot.py"] == "import sys\n\n"
    assert edit(new, {"experiment.py": CODE}).files["plot.py"] == "import sys\n\n"
    end = "--- a/notes.txt\n+++ b/notes.txt\n@@ -3,0 +4 @@\n+- second\n"
    assert edit(end).files["notes.txt"].endswith("- first\n- second\n")


def test_fences_in_a_diff_are_text():
    notes = {"experiment.py": CODE, "notes.txt": "Log:\n```\nold\n```\nend\n"}
    hunk = "@@ -1,5 +1,7 @@\n Log:\n ```\n-old\n+new\n ```\n+```\n+more\n end\n"
    diff = f"```diff\n--- a/notes.txt\n+++ b/notes.txt\n{hunk}```\n"
    assert edit(diff, notes).files["notes.txt"] == "Log:\n```\nnew\n```\n```\nmore\nend\n"


def test_lines_of_a_bare_diff_are_no_commands():
    read = parse_reply(
        "--- a/notes.txt\n+++ b/notes.txt\n@@ -1,2 +1,3 @@\n # Study\n ALL_COMPLETED\n+PLAN:\n+1. A step\n\nREPLICATE\n"
    )
    assert read.plan is None and not read.all_completed and read.replicate


_lines = st.lists(
    st.sampled_from(["", "a", "b", "  c", "\td", "- e", "+ f", "--- g", "@@ h", "```", "i  "]), max_size=12
)


@given(_lines, _lines, st.integers(0, 3))
@examples(60)
def test_the_diff_of_any_change_is_applied_exactly_or_refused(old: list[str], new: list[str], context: int):
    before, after = "".join(f"{line}\n" for line in old), "".join(f"{line}\n" for line in new)
    diff = "".join(
        difflib.unified_diff(before.splitlines(True), after.splitlines(True), "a/notes.txt", "b/notes.txt", n=context)
    )
    for reply in (f"Look:\n\n````diff\n{diff}````\n", f"Look:\n\n{diff}\nSo much.\n"):
        result = apply_reply({"notes.txt": before}, reply, editable=["notes.txt"])
        assert result.files["notes.txt"] == after or (result.rejected and not result.changed)


def test_a_diff_that_ends_before_the_lines_that_change_is_refused():
    first = "--- a/notes.txt\n+++ b/notes.txt\n@@ -1 +1 @@\n-{0}\n+{0}, again\n".format(
        FILES["notes.txt"].split("\n")[0]
    )
    shown = FILES["experiment.py"].split("\n")[0]
    cut = f"--- a/experiment.py\n+++ b/experiment.py\n@@ -1,3 +1,4 @@\n {shown}\n"
    result = apply_reply(FILES, f"```diff\n{first}{cut}```\n", editable=list(FILES))
    assert result.files == FILES
    assert ["changes no line" in rejected.hint for rejected in result.rejected] == [True]
