from __future__ import annotations

import pytest

from agent.core.edit.apply import EditResult, apply_reply

GO = "    def go(self):\n        n = 1\n        return n\n"
CODE = f"class A:\n{GO}\n\nclass B:\n{GO}"
FILES = {"experiment.py": CODE, "notes.txt": "# Study\n\nEnd.\n", "plot.py": ""}
HUNK = "@@ class B:\n@@     def go(self):\n-        n = 1\n+        n = 2\n         return n\n"
SECTION = f"*** Update File: experiment.py\n{HUNK}"
PATCH = f"*** Begin Patch\n{SECTION}*** End Patch\n"
SEARCH = "experiment.py\n<<<<<<< SEARCH\nclass A:\n=======\nclass C:\n>>>>>>> REPLACE\n"
AFTER = CODE[::-1].replace("1 = n", "2 = n", 1)[::-1]


def edit(reply: str) -> EditResult:
    return apply_reply(FILES, reply, editable=[*FILES, "extra.py"])


@pytest.mark.parametrize(
    "reply",
    [
        PATCH,
        f"Here:\n\n```\n{PATCH}```\n",
        f"```patch\n{PATCH}```\n",
        f"```diff\n*** Begin Patch\n{SECTION}```\n",
        f"```bash\napply_patch <<'EOF'\n{PATCH}EOF\n```\n",
        f"apply_patch <<'EOF'\n{PATCH}EOF\n",
        PATCH.replace("\n", "\r\n"),
        PATCH.replace("*** End Patch", "*** End of File\n*** End Patch"),
        f"```\n{SECTION}*** End Patch\n```\n",
    ],
)
def test_a_patch_in_any_dress_is_applied(reply: str):
    result = edit(reply)
    assert not result.rejected and result.files["experiment.py"] == AFTER


def test_several_hunks_and_files():
    notes = "*** Update File: notes.txt\n # Study\n \n-End.\n+Middle.\n@@\n+\n+Last.\n"
    more = f"@@\n-        return n\n{notes}*** Add File: extra.py\n+x = 1\n*** End"
    reply = PATCH.replace("*** End", more)
    result = edit(reply)
    assert [str(r.reason) for r in result.rejected] == ["SEARCH matches several places"] and not result.changed
    result = edit(reply.replace("@@\n-        return n\n", ""))
    assert result.files["notes.txt"] == "# Study\n\nMiddle.\n\nLast.\n" and result.files["extra.py"] == "x = 1\n"


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        (f"*** Begin Patch\n{SECTION}", "no line *** End Patch closes"),
        ("*** Begin Patch\n*** Delete File: plot.py\n*** End Patch\n", "deletes a file"),
        (PATCH.replace("@@ class B", "*** Move to: other.py\n@@ class B"), "moves a file"),
        ("*** Begin Patch\n*** Add File: experiment.py\n+new\n*** End Patch\n", "make experiment.py anew"),
        ("*** Begin Patch\n*** Add File: extra.py\nx = 1\n*** End Patch\n", "does not begin with +"),
        ("*** Begin Patch\n*** Update File: experiment.py\n*** End Patch\n", "holds no hunk"),
        ("*** Begin Patch\n@@\n-        n = 1\n*** End Patch\n", "begins it"),
        (PATCH.replace("+        n = 2", "n = 2"), "neither a blank nor + nor -"),
        (PATCH.replace("@@ class B:\n", ""), "several places"),
        (PATCH.replace("experiment.py", "setup.py"), "may not be edited"),
        ("*** Begin Patch\n*** Update File: experiment.py\n@@ class B:\n+    x = 1\n*** End Patch\n", "shows none"),
    ],
)
def test_a_patch_that_is_not_understood_for_certain_refuses_the_reply(patch: str, said: str):
    result = edit(f"{SEARCH}\n{patch}")
    assert not result.changed and said in f"{result.rejected[0].reason} {result.rejected[0].hint}"
