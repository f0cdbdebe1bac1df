"""Replies that ask to see code, in all forms in which models ask."""

from __future__ import annotations

import pytest

from agent.core.reply.code_request import find_code_request

CODE = """import x
BLOCK_SIZE = 256
class Net:
    def forward(self, x):
        return x
    def other(self):
        pass

def evaluate(m):
    return 1

def train(seed):
    def estimate_loss():
        a = 1
        return a
    loss.backward()
    return 2

if __name__ == "__main__":
    train(1)
"""
FILES = {
    "experiment.py": CODE,
    "prepare.py": "def evaluate_bpb(m):\n    return 3\n",
    "plot.py": "a=1\n",
}
ASKS = [
    ("Please show me the function train()", ["experiment.py:train"], []),
    ("Show me train.", ["experiment.py:train"], []),
    ("please show me the function train() and evaluate()", ["experiment.py:train", "experiment.py:evaluate"], []),
    ("Could you share the contents of experiment.py?", ["experiment.py"], []),
    ("I need to see the training loop first.", ["experiment.py:train"], []),
    (
        "I need to see train() and `Net.forward` before I edit.",
        ["experiment.py:train", "experiment.py:Net.forward"],
        [],
    ),
    ("SHOW: train", ["experiment.py:train"], []),
    ("SHOW: train, evaluate", ["experiment.py:train", "experiment.py:evaluate"], []),
    ("SHOW train", ["experiment.py:train"], []),
    ("**SHOW:** experiment.py:10-14", ["experiment.py:10-14"], []),
    ("VIEW: prepare.py", ["prepare.py"], []),
    ("cat experiment.py", ["experiment.py"], []),
    ("`cat experiment.py`", ["experiment.py"], []),
    ("```bash\ncat experiment.py\n```", ["experiment.py"], []),
    ("```\nsed -n '3,8p' experiment.py\n```", ["experiment.py:3-8"], []),
    ("$ head -n 5 experiment.py", ["experiment.py:1-5"], []),
    ("head -² experiment.py", ["experiment.py:1-10"], []),
    ("tail -5 experiment.py", ["experiment.py:16-21"], []),
    ("grep -n 'def train' experiment.py", ["experiment.py:train"], []),
    ("```bash\ngrep -n backward experiment.py\n```", ["experiment.py:8-24"], []),
    (
        '{"name": "read_file", "arguments": {"path": "experiment.py", "start_line": 3, "end_line": 9}}',
        ["experiment.py:3-9"],
        [],
    ),
    (
        '<tool_call>\n{"name": "view", "arguments": {"file_path": "/repo/experiment.py"}}\n</tool_call>',
        ["experiment.py"],
        [],
    ),
    (
        '<tool_call>{"name": "get_function", "arguments": {"function_name": "train"}}</tool_call>',
        ["experiment.py:train"],
        [],
    ),
    ('```json\n{"tool": "open_file", "path": "prepare.py"}\n```', ["prepare.py"], []),
    ('{"command": "view", "path": "/testbed/experiment.py", "view_range": [2, 6]}', ["experiment.py:2-6"], []),
    ('{"command": "view", "path": "experiment.py", "view_range": [4, -1]}', ["experiment.py:4-9999999"], []),
    (
        '{"name": "read_file", "path": "experiment.py", "offset": %s}' % ("9" * 4000),
        ["experiment.py:9999999-9999999"],
        [],
    ),
    ('{"name":"bash","arguments":{"command":"cat prepare.py"}}', ["prepare.py"], []),
    ("<read_file>\n<path>prepare.py</path>\n</read_file>", ["prepare.py"], []),
    (
        "<function=view>\n<parameter=path>experiment.py</parameter>\n<parameter=start_line>3</parameter>\n<parameter=end_line>7</parameter>\n</function>",
        ["experiment.py:3-7"],
        [],
    ),
    ('<invoke name="view">\n<parameter name="path">prepare.py</parameter></invoke>', ["prepare.py"], []),
    ("<execute_bash>cat experiment.py</execute_bash>", ["experiment.py"], []),
    ('```tool_code\nprint(open("experiment.py").read())\n```', ["experiment.py"], []),
    ('read_file("experiment.py", 3, 8)', ["experiment.py:3-8"], []),
    ("```python\nimport inspect\nprint(inspect.getsource(train))\n```", ["experiment.py:train"], []),
    ("Please show lines 3-8 of experiment.py.", ["experiment.py:3-8"], []),
    ("Can I see lines 3 to 6?", ["experiment.py:3-6"], []),
    ("What does estimate_loss() look like?", ["experiment.py:estimate_loss"], []),
    ("Where is BLOCK_SIZE defined?", ["experiment.py:BLOCK_SIZE"], []),
    ("Please provide the full code.", ["experiment.py"], []),
    ("I cannot see the file. Could you paste its contents?", ["experiment.py"], []),
    ("ls", [], []),
    ("ls -la", [], []),
    ("Which files are there?", [], []),
    ("Show me foo()", [], ["foo"]),
    ("show me the function warm_up", [], ["warm_up"]),
    ("Please show me utils.py", [], ["utils.py"]),
    ("Let me look at the evaluate_bpb function in prepare.py.", ["prepare.py:evaluate_bpb"], []),
    ("May I see the class Net?", ["experiment.py:Net"], []),
    ("Before I write the edit, I'd like to see how the loss is computed in train().", ["experiment.py:train"], []),
    ('Thought: I need the file.\nAction: read_file\nAction Input: {"path": "experiment.py"}', ["experiment.py"], []),
    ("First I will read prepare.py.", ["prepare.py"], []),
    ("Display Net.other", ["experiment.py:Net.other"], []),
    ("To proceed, I need the definition of evaluate.", ["experiment.py:evaluate"], []),
    ("PLAN:\n1. Show train() more data\n\nSHOW: evaluate", ["experiment.py:evaluate"], []),
    ("I don't have access to train().", ["experiment.py:train"], []),
]
NO_ASKS = [
    "I raise the rate in train().",
    "PLAN:\n1. Inspect train() and show me\n   Expected: more",
    "The edit is below.",
    "train() uses SGD, I see.",
    "REPLICATE",
    "ALL_COMPLETED",
    "```python\ndef train(seed):\n    return 3\n```",
    "The loss fell; nothing more is needed.",
    "We changed evaluate and it works.",
    "python experiment.py --out_dir=run_1",
    "open the rate further",
    "> show me train()",
    "<think>show me train()</think>\nDone.",
    "Set lr = 0.1 in train().",
    '{"path": "experiment.py", "old_str": "a", "new_str": "b"}',
    "```bash\npython experiment.py\n```",
    "I need 10 more steps.",
    "Let me know.",
    "First, open the valve.",
    "What a result!",
    'The metrics are {"loss": 0.3, and so on',
    'It ends } and begins {"loss',
    'Action: read_file\nThe path is {"path": "experiment.py"',
]


@pytest.mark.parametrize(("reply", "places", "missing"), ASKS)
def test_a_request_names_what_it_asks_for(reply: str, places: list[str], missing: list[str]) -> None:
    found = find_code_request(reply, FILES, "experiment.py")
    assert found and (list(found.places), list(found.missing)) == (places, missing)


@pytest.mark.parametrize("reply", NO_ASKS)
def test_other_words_ask_for_nothing(reply: str) -> None:
    assert find_code_request(reply, FILES, "experiment.py") is None


@pytest.mark.parametrize(
    ("reply", "asks"),
    [
        ("Show me train() first.", True),
        ("SHOW: train", True),
        ("cat prepare.py", True),
        ("In train() please have evaluate print the loss every ten steps.", False),
        ("Set LR = 0.1 in train(). I want to see whether it helps.", False),
        ("Let me look at train() once more. " + "Raise the rate a little and keep the rest. " * 20, False),
    ],
)
def test_words_to_an_editor_are_requests_only_if_they_are_nothing_else(reply: str, asks: bool) -> None:
    assert (find_code_request(reply, FILES, "experiment.py", strict=True) is not None) is asks
