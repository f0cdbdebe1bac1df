"""Keys in the orchestrator's environment reach neither a run nor anything on disk."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.edit.seen import reveal
from agent.core.journal.action_results import Refused
from agent.core.journal.events import Finished, replies_of
from agent.core.journal.fold import fold
from agent.core.journal.kinds import Purpose, Role
from agent.core.prompt.conversation import load_request
from agent.core.text.redact import Redactor
from agent.edges.workspace.inbox import put_word
from agent.effects.turn import take_turn
from tests.fakes import ScriptedModel, block
from tests.loop.conftest import Study
from tests.loop.instant import InstantRunner, leave_results
from tests.loop.lines import DONE, FASTER, LR, MOMENTUM, NO_PLOT_EDIT, NOTES, PLAN
from tests.paths import QUADRATIC

CANARY = "sk-canary-5e8f2a71c0"
NAMES = ("DEEPSEEK_API_KEY", "OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "NVIDIA_API_KEY", "SSH_AUTH_SOCK")
SPY = '''

def spy():
    """Write down all that a run can read of its own and its supervisor's environment."""
    seen = {"environ": dict(os.environ), "argv": Path("/proc/self/cmdline").read_text("latin-1")}
    seen["self"] = Path("/proc/self/environ").read_bytes().decode("latin-1")
    seen["parent"] = Path(f"/proc/{os.getppid()}/environ").read_bytes().decode("latin-1")
    print(json.dumps(seen))
    return seen
'''
TRAINING = "def run_training(profile, seed):\n"
MADE = "    out.mkdir(exist_ok=True)\n"
REPORT = '    (out / "final_info.json").write_text(json.dumps({"final_loss": losses[-1], "steps": profile["steps"]}))\n'
SPYING = (
    block("experiment.py", TRAINING, SPY.lstrip("\n") + "\n\n" + TRAINING)
    + block("experiment.py", MADE, MADE + "    spied = spy()\n")
    + block("experiment.py", REPORT, REPORT.replace("}))", ', "spied": spied}))'))
)


def test_a_key_reaches_no_run_and_no_file(make_study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, CANARY)
    study = make_study()
    state = study.loop([PLAN + FASTER + SPYING, DONE, NO_PLOT_EDIT, NOTES]).run()
    assert state.ended and state.ended.completed, state

    spied = json.loads((study.workspace.path / "run_1" / "final_info.json").read_text())["spied"]
    assert spied["environ"]["SCIENTIST_SEED"] == "1" and "SCIENTIST_SEED=1" in spied["self"]
    assert "PATH=" in spied["parent"], "the supervisor's environment was read"
    assert CANARY not in json.dumps(spied)
    assert not set(NAMES) & set(spied["environ"])

    assert os.environ["DEEPSEEK_API_KEY"] == CANARY
    files = [p for p in study.workspace.path.parent.parent.rglob("*") if p.is_file()]
    kinds = {"journal.jsonl", "log.txt", "stdout.txt", "spec.json", "claim", "supervisor.log", "final_info.json"}
    assert kinds <= {p.name for p in files} and any("blobs" in p.parts for p in files)
    assert [p for p in files if CANARY.encode() in p.read_bytes()] == []
    repo = study.workspace.repo()
    committed = repo.diff(state.launched.commit, state.code.head) + repo.tag_message("run/1")
    assert "spied" in committed and CANARY not in committed


def test_a_key_is_not_sent_and_what_was_sent_and_stored_is_the_same(make_study: Callable[..., Study]) -> None:
    """A key in the template's own text, in its code, in a word that was told and in a reply."""
    study = make_study()
    study.template = replace(study.template, brief=f"{study.template.brief}\n\nLog in with {CANARY}.")
    put_word(study.workspace.agent, f"Log in with {CANARY}.", now=0.0, token="00000000")
    model = ScriptedModel([f"{PLAN}The key is {CANARY}.\n" + FASTER, DONE, NO_PLOT_EDIT, NOTES])
    loop = study.loop(model)
    loop.journal.redact = Redactor({CANARY: "X_API_KEY"})
    state = loop.run()
    assert state.ended and state.ended.completed, state
    sent = [[message.content for message in request.messages] for request in model.requests]
    assert "Log in with [redacted: X_API_KEY]." in str(sent[0]) and CANARY not in str(sent)
    journal = study.workspace.journal()
    stored = [load_request(journal.get(asked.request)).messages for asked in replies_of(journal.events, Role.PLANNER)]
    assert [[message.content for message in talk] for talk in stored] == sent
    assert fold(journal.events) == state
    files = [p for p in study.workspace.path.rglob("*") if p.is_file()]
    assert [p for p in files if CANARY.encode() in p.read_bytes()] == []


def test_code_that_holds_a_key_is_edited_around_it_and_keeps_it(
    make_study: Callable[..., Study], tmp_path: Path
) -> None:
    """The model is shown a marker in its place: a block that quotes it matches, and a repair does not write it down."""
    code = Path(shutil.copytree(QUADRATIC, tmp_path / "template")) / "experiment.py"
    held = 'DATABASE = "postgres://user:hunter22@localhost/db"\n'
    shown = 'DATABASE = "postgres://user:[redacted: key]@localhost/db"\n'
    code.write_text(code.read_text().replace(LR, held + LR))
    study = make_study(code.parent)
    good = block("experiment.py", shown + LR, shown + "LR = 0.1\n")
    wrong = block("experiment.py", "MOMENTUM = 7\n", "")
    model = ScriptedModel([PLAN + good + wrong, MOMENTUM, DONE, NO_PLOT_EDIT, NOTES])
    state = study.loop(model, runner=InstantRunner(leave_results)).run()
    assert state.ended and state.ended.completed, state
    now = study.workspace.repo().read(state.code.head)["experiment.py"]
    assert held + "LR = 0.1\nMOMENTUM = 0.3 " in now and "redacted" not in now
    assert not any("hunter22" in message.content for request in model.requests for message in request.messages)


def test_a_refusal_that_quotes_a_line_with_a_key_shows_that_line(
    make_study: Callable[..., Study], tmp_path: Path
) -> None:
    code = Path(shutil.copytree(QUADRATIC, tmp_path / "template")) / "experiment.py"
    held = 'DATABASE = "postgres://user:hunter22@localhost/db"\n'
    code.write_text(code.read_text().replace(LR, held + LR))
    study = make_study(code.parent)
    wrong = block("experiment.py", held.replace("hunter22", "[redacted: key]") + LR.replace("LR", "RATE"), "")
    loop = study.loop([PLAN + wrong, FASTER, DONE, NO_PLOT_EDIT, NOTES], runner=InstantRunner(leave_results))
    assert loop.run().ended
    events = loop.journal.events
    at = next(i for i, e in enumerate(events) if isinstance(e, Finished) and isinstance(e.result, Refused))
    turn = take_turn(loop._edges, fold(events[: at + 1]), Purpose.REPAIR)
    number = turn.files["experiment.py"].split("\n").index(held.rstrip()) + 1
    seen = reveal({"experiment.py": ((1, 1),)}, turn.feedback, turn.files, turn.base)
    assert any(first <= number <= last for first, last in seen["experiment.py"]), seen
