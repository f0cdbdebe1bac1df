from __future__ import annotations

import pytest

from agent.core.code.source import BadPython, find_bad_python
from agent.core.text.placeholders import find_doubtful, find_placeholders, is_elision


@pytest.mark.parametrize(
    "line",
    [
        "[previous content unchanged]",
        "[Previous run details remain unchanged...]",
        "[... rest of notes ...]",
        "(existing sections unchanged)",
        "# ... rest of the code",
        "# ... existing code ...",
        "# ...",
        "# rest of the code remains the same",
        "# Rest of the class implementation...",
        "# existing code here",
        "# other methods remain unchanged",
        "# (unchanged)",
        "# same as before",
        "# ... (keep existing code)",
        "    # Keep existing code unchanged",
        "// ... rest of the function",
        "<!-- rest of the file -->",
        "... rest of the code ...",
        "...  # existing code",
        "pass  # rest of the method unchanged",
        "# … existing code …",
        "# --- rest of the code ---",
        "# The rest of the function is unchanged",
        "# rest of the methods below",
        "pass  # existing code here",
        "# the same functions remain here",
        "# rest unchanged",
        "# Everything below this line stays as it is",
        "# everything else is the same",
        "# (rest of main stays the same)",
        "# All other methods: unchanged",
        "# other methods stay as they are",
        "# <existing code>",
        "# [previous imports]",
        "# omitted for brevity",
        "# no other changes",
        "# ... snip ...",
        "# [SNIP]",
        "# ... train() and measure() ...",
        "# ... (keep the rest of main)",
        "# your existing code",
        "# remaining logic below",
        "# \u22ee",
        "# . . .",
        "# [...]",
        '"""... existing code ..."""',
        "'''rest of the code unchanged'''",
    ],
)
def test_a_placeholder_is_found(line: str):
    assert find_placeholders("experiment.py", ["x = 1", line]) == [1]


@pytest.mark.parametrize(
    "line",
    [
        "    # Update previous activations",
        "# Use the same function for train and eval",
        "# Both seeds must give the same result",
        "# The rest of the code expects (batch, d)",
        "pass  # nothing to do here",
        "# Apply the same code to both halves",
        "# the remainder of the file is read in one piece by the loader",
        "# Get norm of existing neurons",
        "# Compute temporal difference loss if previous activations exist",
        "# Apply decay to existing co-activations",
        "x = y  # same as before",
        "print('Loading ...')",
        "activations = acts[..., :n]",
        "# rest the optimizer",
        "# Keep the best k features",
        "Results: {'eval_type_id': 'core', ...}",
        "# The remaining features are resampled",
        "# pass the previous batch here",
        "[1, 2, 3]",
        "(previous + current) / 2",
        "# Other hyper-parameters",
        "passed = previous",
        "- Rest of the runs use seed 1",
        "# Use existing tokenizer of the model",
        "# All weights stay in float32",
        "# Other settings stay the same as in run 1",
        "# The remaining code rate is 0.5",
        "# keep the best loss so far",
        "# ... then the data",
        "# ----------",
        "# loading...",
        '"""Return the inputs unchanged and the targets."""',
        "",
    ],
)
def test_ordinary_text_is_no_placeholder(line: str):
    assert find_placeholders("experiment.py", ["x = 1", line]) == []


@pytest.mark.parametrize(
    "lines",
    [
        ["def f():", "    ..."],
        ["x = [", "    ...", "]"],
        ['"""Say."""', "..."],
        ["class E(Exception):  # empty", "    ..."],
    ],
)
def test_an_ellipsis_that_is_a_body_is_python(lines: list[str]):
    assert find_placeholders("experiment.py", lines) == []


def test_an_ellipsis_among_statements_stands_for_text():
    assert find_placeholders("experiment.py", ["x = 1", "...", "y = 2"]) == [1]
    assert find_placeholders("notes.txt", ["Run 1:", "...", "Run 2"]) == [1]


def test_python_that_parses():
    assert find_bad_python("\ufeffx = 1\n") is None
    assert find_bad_python('x = "\\d"\n') is None
    assert find_bad_python("def f():\n    x = 1\n    global x\n") is None


def test_python_that_does_not():
    assert find_bad_python("x = 1\ny = (\n") == BadPython(2, "'(' was never closed")
    assert find_bad_python("x = 1\0\n") is not None
    assert find_bad_python("x = '\ud800'\n") is not None


def test_a_doubtful_comment_needs_lost_lines_to_count():
    lines = [
        "# main() unchanged",
        "# previous code",
        "# code after",
        "# as before",
        "# ... (train, main)",
        "x = 1  # same",
    ]
    assert find_doubtful(lines) == [0, 1, 2, 3, 4] and find_placeholders("a.py", lines[:3]) == []
    assert find_doubtful(["# use the previous batch to warm up", "# a new loss", "x = 1"]) == []


def test_an_elision_is_a_comment_with_dots():
    assert is_elision("# ... existing code ...") and is_elision("// ... rest of the code ...")
    assert not is_elision("x = 1  # ... existing code ...") and not is_elision("# existing code")
