"""What a frontier costs in a prompt, counted in tokens."""

from __future__ import annotations

from agent.core.prompt.render import render_opening
from agent.edges.model.call import load_litellm
from tests.core.prompt.test_render import frontier_view


def test_a_frontier_of_twenty_points_takes_less_than_500_tokens() -> None:
    text = render_opening(frontier_view())[1].content.partition("# Baseline")[2].partition("# Metrics")[0]
    assert len([line for line in text.splitlines() if line.startswith(("topk", "batch", "jump", "standard"))]) == 4
    assert text.count("@") == 21, "the head, and a place for every setting"
    assert load_litellm().token_counter("gpt-4o", text=text) < 500
