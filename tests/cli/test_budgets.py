"""Budgets with the real client, against a server that counts tokens as the provider does."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Scientist, only_workspace
from tests.loop.lines import FASTER, NO_PLOT_EDIT, NOTES, PLAN
from tests.paths import QUADRATIC
from tests.provider.server import StrictServer


def test_a_batch_stops_at_its_limit_and_goes_on_with_more(scientist: Scientist, folder: Path) -> None:
    """The first idea is completed; what it used leaves the second no room for its first call."""
    with StrictServer(mode="deepseek", replies=[PLAN + FASTER, NO_PLOT_EDIT, NOTES] * 2, api_key="sk-canary") as server:
        launch = ("launch", "ideas.json", "--template", QUADRATIC, "--max-runs", 1, "--model", server.model)
        done = scientist(*launch, "--batch-max-tokens", 4000, "--max-cost-usd", 1, **server.environment())
        assert done.returncode == 4, done.stderr
        first, second = only_workspace(folder), only_workspace(folder, "rates")
        assert f"{first.relative_to(folder)}: completed" in done.stdout
        assert f"{second.relative_to(folder)}: paused: the next" in done.stdout
        assert len(server.requests) == 3

        ideas = json.loads(scientist("status", "--json").stdout)["workspaces"]
        assert [idea["state"] for idea in ideas] == ["completed", "paused"]
        usages = [idea["tokens_in"] + idea["tokens_out"] for idea in ideas]
        assert 0 < usages[0] < 4000 and usages[1] == 0
        assert f"this batch used {usages[0]:,} of --batch-max-tokens 4,000" in ideas[1]["reason"]
        assert 0 < ideas[0]["cost_usd"] < 1 and ideas[0]["unknown_costs"] == 0
        shown = scientist("status").stdout
        assert f"+ {ideas[0]['tokens_out']} tokens, ${ideas[0]['cost_usd']:.4f} of $1, at most 4,000 tokens" in shown

        (command,) = ideas[1]["next"]
        more = command.rpartition(" ")[2]
        last = scientist("resume", second, "--batch-max-tokens", more, **server.environment())
        assert last.returncode == 0, last.stderr
        assert [request.status for request in server.requests] == [200] * 6
