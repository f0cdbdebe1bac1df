"""Telling, approving and limits as a user types them: the real command, the offline sweep where a model is needed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from agent.edges.workspace.lock import hold_lock
from tests.cli.conftest import Scientist, only_workspace
from tests.paths import QUADRATIC

WORD = "Keep the rate\nbelow 0.1 [bold]."
ONE = ("launch", "ideas.json", "--idea", "momentum", "--template", QUADRATIC, "--max-runs", 1)
UNPRICED = ("--model", "openai/gpt-none")
ANSWERLESS = {
    "OPENAI_API_KEY": "sk-canary-0123456789",
    "SCIENTIST_PATIENCE_S": "0",
}


@pytest.fixture
def waiting(scientist: Scientist, folder: Path) -> Path:
    """A workspace whose first edit waits for approval."""
    done = scientist(*ONE, "--pause-before", "run")
    assert done.returncode == 3, done.stderr
    workspace = only_workspace(folder)
    quoted = shlex.quote(str(workspace.relative_to(folder)))
    assert "paused: run 1, attempt 1 waits for approval: Run 1: " in done.stdout
    assert f"  approve: scientist resume {quoted}\n" in done.stdout
    assert f'  set aside: scientist tell {quoted} "..." && scientist resume {quoted}\n' in done.stdout
    (look,) = [line for line in done.stdout.splitlines() if line.startswith("  look: scientist diff ")]
    assert "+LR = " in scientist(*shlex.split(look.partition("scientist ")[2])).stdout
    return workspace


def told(workspace: Path) -> list[str]:
    lines = (workspace / ".agent/journal.jsonl").read_text().splitlines()
    return [event["text"] for line in lines if (event := json.loads(line)["event"])["type"] == "told"]


def test_a_word_is_told_at_once_and_shown_by_every_reading_command(scientist: Scientist, waiting: Path) -> None:
    done = scientist("tell", waiting, WORD)
    assert (done.returncode, done.stderr) == (0, "")
    assert "told; this sets the waiting edit aside and asks anew: scientist resume " in done.stdout
    assert told(waiting) == [WORD] and list((waiting / ".agent/inbox").iterdir()) == []

    assert "Keep the rate below 0.1 [bold]. (not shown yet)" in scientist("show", waiting).stdout
    assert "Keep the rate below 0.1 [bold]." in scientist("history", waiting).stdout
    (word,) = json.loads(scientist("history", waiting, "--json").stdout)["told"]
    assert word["text"] == WORD
    (idea,) = json.loads(scientist("status", "--json").stdout)["workspaces"]
    assert idea["state"] == "paused" and f"scientist resume {shlex.quote(str(waiting.resolve()))}" in idea["next"]

    again = scientist("resume", waiting)
    assert again.returncode == 3 and "restored, back to the code of" in again.stderr
    assert not list((waiting / ".agent/attempts").iterdir())
    assert "(shown in run 1)" in scientist("show", waiting).stdout
    last = scientist("resume", waiting, "--pause-before", "none")
    assert last.returncode == 0 and "1 completed run" in last.stdout

    refused = scientist("tell", waiting, "too late")
    assert refused.returncode == 2 and refused.stdout == ""
    way = f"add runs and say it at once: scientist resume {shlex.quote(str(waiting))} --max-runs N --tell ..."
    assert refused.stderr == f"scientist: {waiting}: has ended; no model will be asked again; {way}\n"


def test_a_word_told_while_somebody_works_waits_in_the_inbox(scientist: Scientist, waiting: Path) -> None:
    with hold_lock(waiting / ".agent"):
        done = scientist("tell", waiting, WORD)
        assert done.returncode == 0
        assert "told; the next prompt shows it; but offline/sweep reads no instructions\n" in done.stdout
        assert told(waiting) == []
    assert len(list((waiting / ".agent/inbox").iterdir())) == 1
    assert scientist("resume", waiting).returncode == 3
    assert told(waiting) == [WORD]


def test_a_batch_is_told_where_it_has_not_ended(scientist: Scientist, folder: Path) -> None:
    launched = ("launch", "ideas.json", "--template", QUADRATIC, "--max-runs", 1)
    assert scientist(*launched, "--pause-before", "plan").returncode == 3
    first, second = only_workspace(folder), only_workspace(folder, "rates")
    assert scientist("resume", first, "--pause-before", "none").returncode == 0
    done = scientist("tell", first.parent, WORD)
    assert done.returncode == 0 and [told(w) for w in (first, second)] == [[], [WORD]]
    assert f"{second.relative_to(folder)}: told" in done.stdout and "momentum" not in done.stdout
    (second / ".agent/journal.jsonl").write_text("no event\n")
    damaged = scientist("tell", first.parent, WORD)
    assert damaged.returncode == 6 and "journal.jsonl:1" in damaged.stderr


@pytest.mark.parametrize("text", ["", " \n", "x" * 4001])
def test_a_text_of_no_use_is_one_line(scientist: Scientist, waiting: Path, text: str) -> None:
    done = scientist("tell", waiting, text)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and told(waiting) == []


def test_what_is_no_workspace_hears_nothing(scientist: Scientist, folder: Path) -> None:
    done = scientist("tell", folder, "hello")
    assert done.returncode == 2 and "holds no workspace" in done.stderr


def test_an_unknown_price_pauses_with_exit_code_4_and_a_way_on(
    scientist: Scientist, folder: Path, hanging_up: str
) -> None:
    variables = ANSWERLESS | {"OPENAI_API_BASE": hanging_up}
    done = scientist(*ONE, *UNPRICED, "--max-cost-usd", 2, **variables)
    workspace = only_workspace(folder)
    quoted = shlex.quote(str(workspace.relative_to(folder)))
    assert done.returncode == 4, done.stderr
    assert "the price of openai/gpt-none is unknown" in done.stdout and '[models."openai/gpt-none"]' in done.stdout
    assert f"  go on: scientist resume {quoted} --max-cost-usd 0 --max-tokens 1000000\n" in done.stdout
    (idea,) = json.loads(scientist("status", "--json").stdout)["workspaces"]
    assert (idea["max_cost_usd"], idea["tokens_in"], idea["unknown_costs"]) == (2.0, 0, 0)
    assert "of $2" in scientist("status").stdout

    # With a price the call is made: here nobody answers it.
    (folder / "scientist.toml").write_text(
        '[models."openai/gpt-none"]\ninput_usd_per_mtok = 1.0\noutput_usd_per_mtok = 2.0\n'
    )
    assert scientist("resume", workspace, **variables).returncode == 3
    lifted = scientist("resume", workspace, "--max-cost-usd", 0, "--max-tokens", 10, **variables)
    assert lifted.returncode == 4 and "used 0 of --max-tokens 10" in lifted.stdout
    (idea,) = json.loads(scientist("status", "--json").stdout)["workspaces"]
    assert (idea["max_cost_usd"], idea["max_tokens"]) == (None, 10)


def test_limits_and_pauses_come_from_the_settings_file_too(scientist: Scientist, folder: Path) -> None:
    (folder / "scientist.toml").write_text(
        f'[launch]\ntemplate = "{QUADRATIC}"\nidea = ["momentum"]\nmax-runs = 1\npause-before = "plan"\n'
        "max-tokens = 5\nmax-cost-usd = 1.5\nbatch-max-tokens = 7\nbatch-max-cost-usd = 2.5\n"
    )
    assert scientist("launch", "ideas.json").returncode == 3
    (idea,) = json.loads(scientist("status", "--json").stdout)["workspaces"]
    assert [idea[k] for k in ("max_tokens", "max_cost_usd", "batch_max_tokens", "batch_max_cost_usd")] == [
        5,
        1.5,
        7,
        2.5,
    ]
    assert "planner's turn for run 1 waits for approval" in idea["reason"]
    # The sweep is a control: no budget concerns it.
    assert scientist("resume", only_workspace(folder)).returncode == 0
    (folder / "scientist.toml").write_text('[launch]\npause-before = "lunch"\n')
    refused = scientist("launch", "ideas.json")
    assert refused.returncode == 2 and "'lunch' is not one of" in refused.stderr
