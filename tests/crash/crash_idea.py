"""One idea that takes every kind of action, which any process can continue, and checks of its end."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

from agent.cli import drive
from agent.cli.models import ModelSettings
from agent.core.failure.record import ExitRecord
from agent.core.inputs.idea import Idea
from agent.core.journal.action_results import Asked, Closed
from agent.core.journal.budget import Limits, Paid
from agent.core.journal.events import Event, Finished, Launched, Resumed
from agent.core.journal.fold import fold
from agent.core.journal.kinds import Role
from agent.edges.model.ledger import Ledger
from agent.edges.model.protocol import ModelReply, Models, Request
from agent.edges.run import step_folder as step
from agent.edges.run.local_runner import LocalRunner
from agent.edges.run.step_folder import StepSpec
from agent.edges.system.processes import all_processes
from agent.edges.template.frozen import freeze_template
from agent.edges.template.load import load_template
from agent.edges.verify import verify
from agent.edges.workspace.inbox import put_word
from agent.edges.workspace.journal import Journal, JournalLine
from agent.edges.workspace.layout import Workspace, create_batch, template_store
from tests.fakes import block
from tests.loop.conftest import RememberingLinter
from tests.loop.lines import FASTER, NOTES
from tests.loop.test_roles import PLAN, REVISION
from tests.paths import QUADRATIC

BROKEN = block("experiment.py", "MOMENTUM = 0.0  # search: 0.0..0.9\n", "MOMENTUM = undefined\n")
FIGURE = block("plot.py", "rows = []\n", "rows = []  # one a run\n")
LINES: dict[Role, list[str]] = {
    Role.PLANNER: [PLAN + "Raise LR to 0.1.\n", BROKEN, FIGURE, NOTES],
    Role.EDITOR: ["I cannot.\n", FASTER],
    Role.REVIEWER: [REVISION, "I am done\n"],
}
LIMITS = Limits(max_runs=2, attempts=1, repairs=1)


@dataclass(frozen=True)
class Tale:
    """A workspace, and facts of it that are kept outside: questions, acknowledged events, steps that started."""

    workspace: Workspace

    @property
    def records(self) -> Path:
        return self.workspace.path.parent.parent / "records" / self.workspace.path.name

    @property
    def history(self) -> Path:
        """In order: `ask ROLE NUMBER`, `ack SEQ SHA256`, `heard ROLE`, `start FOLDER`."""
        return self.records / "history"

    def entries(self, kind: str) -> list[list[str]]:
        lines = [line.split() for line in self.history.read_text().splitlines()]
        return [words[1:] for words in lines if words[0] == kind]

    def tell(self) -> None:
        """Go on as `scientist resume` does."""
        drive.drive(self.workspace, Ledger(), ModelSettings(), resumed=lambda state: Resumed())

    def events(self) -> list[Event]:
        return self.workspace.journal().events


@dataclass(frozen=True)
class Teller:
    """Answers a question by its number, as a provider would after a crash. Each is noted before it is answered."""

    role: Role
    history: Path
    lines: Sequence[str]

    window_tokens, takes_files = None, False

    @property
    def name(self) -> str:
        return f"scripted/{self.role}"

    def ask(self, request: Request) -> ModelReply:
        note(self.history, f"ask {self.role} {request.asked}")
        return ModelReply(self.lines[request.asked], self.name, Paid(10, 1, cost_usd=0.001, requests=1))


def note(path: Path, line: str) -> None:
    """Append a line that outlives this process."""
    with path.open("a") as file:
        file.write(f"{line}\n")


def new_ideas(root: Path, *names: str, sandbox: str = "off") -> list[Tale]:
    """A fresh batch, with a word of the researcher waiting in every workspace."""
    template = load_template(freeze_template(QUADRATIC, template_store(root)), "")
    launched = Launched(
        template=template.spec.name,
        template_hash=template.hash,
        profile=template.profile,
        model="scripted/planner",
        python=sys.executable,
        limits=LIMITS,
        smoke=True,
        evaluates=True,
        has_baseline=True,
        editor_model="scripted/editor",
        reviewer_model="scripted/reviewer",
        reflections=1,
        sandbox=sandbox,
    )
    ideas = [Idea(Name=name, Title="Momentum helps", Experiment="Try momentum.") for name in names]
    batch = [Tale(workspace) for workspace in create_batch(root, "batch", ideas, template, launched)]
    for told in batch:
        put_word(told.workspace.agent, "Mind the learning rate.", now=1.7e9, token="0" * 8)
        told.records.mkdir(parents=True)
        told.history.touch()
    return batch


def use_tellers(patch: pytest.MonkeyPatch, lines: Mapping[Role, Sequence[str]] = LINES) -> None:
    """From now on `drive` asks the tellers, and every event acknowledged is noted outside the workspace."""
    append = Journal.append

    def append_and_note(journal: Journal, event: Event) -> JournalLine:
        line = append(journal, event)
        history = Tale(Workspace(journal.folder.parent)).history
        heard = f"\nheard {event.result.role}" if is_reply(event) else ""
        note(history, f"ack {line.seq} {line.sha256}{heard}")
        return line

    def make_models(
        launched: Launched, limits: Limits, workspace: Workspace, settings: ModelSettings, on_wait: object
    ) -> Models:
        history = Tale(workspace).history
        return Models(*(Teller(role, history, lines[role]) for role in Role))

    patch.setattr(Journal, "append", append_and_note)
    patch.setattr(drive, "make_models", make_models)
    patch.setattr(drive, "Linter", RememberingLinter)
    patch.setattr(drive, "report", lambda workspace, state, watch: None)
    patch.setattr(drive, "check_agreement", lambda *_, **__: None)  # `check_nothing_lost` verifies at the end
    patch.setattr(drive, "announce_sandbox", lambda sandbox: None)


def is_reply(event: Event) -> bool:
    return isinstance(event, Finished) and isinstance(event.result, Asked)


@dataclass(frozen=True, slots=True)
class SwiftRunner(LocalRunner):
    """Real claims, exit records and polls, for steps that end as soon as they start."""

    apart: Callable[[], AbstractContextManager[None]] = nullcontext

    def start(self, folder: Path, spec: StepSpec) -> None:
        step.write_spec(folder, spec)
        with self.apart():
            if not step.claim(folder, "supervisor"):
                return  # as a late supervisor does
            note(Tale(Workspace(folder.parent.parent.parent)).history, f"start {folder.name}")
            leave_output(folder)
            step.write_exit(folder, ExitRecord(0, None, False, False, spec.deadline_s, 0.01, 0.1))


def leave_output(folder: Path) -> None:
    """Write the files that experiment.py, the evaluator and plot.py would leave."""
    run, _, kind = folder.name.removeprefix("run_").partition(".")
    work, out = folder / "work", folder / f"work/run_{run}"
    with (folder / step.LOG).open("a") as log:
        log.write(f"said by {re.sub(r'[.][0-9]+', '', folder.name)}\n")  # run_1.2.evaluate: run_1.evaluate
    if kind.endswith("evaluate"):
        (work / "evaluation.json").write_text(json.dumps({"score": 0.9 + int(run) / 100}))
    elif run == "plot":  # plot.2
        (work / "losses.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\0IENDCRC.")
    else:
        out.mkdir(exist_ok=True)
        (out / "state.json").write_text(json.dumps({"x": 1.0}))
        (out / "final_info.json").write_text(json.dumps({"final_loss": 0.1, "steps": 40}))


# What it came to


def outcome_of(workspace: Workspace) -> dict[str, object]:
    """The end of an idea, without hashes and times that differ between any two."""
    repo, state = workspace.repo(), fold(workspace.journal().events)
    log = repo.log()
    place = {commit.sha: number for number, commit in enumerate(log)}
    rows = [asdict(replace(row, commit="", seconds=0.0)) for row in state.rows]
    for row in rows:
        (row["review"] or {}).pop("commit", None)
    return {
        "commits": [
            (c.subject, c.files, {k: place.get(v, v) for k, v in c.trailers.items() if k != "Step-Id"}) for c in log
        ],
        "trees": git(workspace, "log", "--format=%T", "main"),
        "refs": {name: (place[sha], repo.tag_message(name[10:])) for name, sha in repo.refs().items()},
        "ended": state.ended and (state.ended.completed, state.ended.summary, state.ended.warnings),
        "rows": rows,
        "run commits": [place.get(row.commit) for row in state.rows],
        "plan": (state.plan, state.done_items, state.idea_version),
        "words": [word.text for word in state.words],
        "files": {name: path.read_bytes() for name, path in files_in(workspace) if not name.startswith(".")},
    }


def files_in(workspace: Workspace) -> Iterator[tuple[str, Path]]:
    for path in sorted(workspace.path.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield str(path.relative_to(workspace.path)), path


def git(workspace: Workspace, *words: str) -> str:
    return subprocess.check_output(["git", "-C", str(workspace.path), *words], text=True)


def leftovers_in(workspace: Workspace) -> list[str]:
    """Temporary files outside of .agent/tmp and .agent/rescue, the places for them."""
    found = []
    for name, path in files_in(workspace):
        if name.startswith((".agent/tmp/", ".agent/rescue/", ".git/objects/")) or is_dead_end(workspace, name):
            continue
        is_blob = name.startswith(".agent/blobs/")
        if path.name.startswith(".") or path.suffix in (".tmp", ".lock") or (is_blob and len(path.name) != 64):
            found.append(name)
    return found


def is_dead_end(workspace: Workspace, name: str) -> bool:
    """Whether it lies in the folder of a step that never began and never will."""
    parts = name.split("/")
    return parts[:2] == [".agent", "attempts"] and claimed_by(workspace.attempts / parts[2] / step.CLAIM) == "resume"


def processes_in(root: Path) -> list[str]:
    """Running processes that were started for a workspace below, or work there."""
    found = []
    for process in all_processes():
        place = Path(f"/proc/{process.pid}")
        try:
            about = f"{(place / 'cmdline').read_bytes().decode(errors='replace')} {(place / 'cwd').readlink()}/"
        except OSError:
            continue
        if any(f"{root}{end}" in about for end in "/\0 ") and not process.is_dead:
            found.append(about)
    return found


def supervised(workspace: Workspace) -> Counter[str]:
    """Number of steps of each kind that ended by themselves, not by a kill of theirs or of a supervisor."""
    claims = [c.parent.name for c in workspace.attempts.glob("*/claim") if claimed_by(c) == "supervisor"]
    results = [e.result for e in workspace.journal().events if isinstance(e, Finished)]
    lost = {r.folder for r in results if isinstance(r, Closed) and (r.exit is None or r.exit.was_killed)}
    return Counter(re.sub(r"[.][0-9]+", "", name) for name in claims if name not in lost)  # run_1.2: run_1


def claimed_by(claim: Path) -> str:
    return str(json.loads(claim.read_text())["by"])


def check_nothing_lost(told: Tale) -> None:
    """Check that every acknowledged event is at its place in the journal, and that all files agree with it."""
    lines = told.workspace.journal().lines
    for seq, sha256 in told.entries("ack"):
        assert lines[int(seq)].sha256 == sha256, f"event {seq} was acknowledged and is not what it was"
    assert verify(told.workspace).disagreements == ()
    assert leftovers_in(told.workspace) == []
    assert not list((told.workspace.agent / "inbox").iterdir())
    starts = [folder for (folder,) in told.entries("start")]
    assert len(starts) == len(set(starts)), "a step was started twice in the same folder"
    check_asked_once(told)


def check_asked_once(told: Tale) -> None:
    """No question was asked again whose reply the journal had."""
    heard: Counter[str] = Counter()
    for line in told.history.read_text().splitlines():
        kind, who, *number = line.split()
        if kind == "heard":
            heard[who] += 1
        elif kind == "ask":
            assert int(number[0]) == heard[who], f"{line}, though {heard[who]} replies were acknowledged"
