"""Reference texts within their budget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.core.inputs.refs import CUT, Reference, shorten_refs
from agent.core.model.tokens import estimate_tokens
from tests.examples import examples

LONG = "".join(f"Line {n} of a paper.\n" for n in range(2000))


def test_short_texts_stay_whole_and_long_ones_share_what_is_left() -> None:
    refs = (Reference("a.md", LONG), Reference("b.md", "short"), Reference("c.md", LONG))
    a, b, c = shorten_refs(refs, 2000)
    assert (
        b == refs[1]
        and abs(len(a.text) - len(c.text)) < 40
        and a.text.startswith("Line 0")
        and a.text.endswith(f"paper.\n{CUT}")
    )
    assert 1800 < sum(estimate_tokens(r.text) for r in (a, b, c)) <= 2000
    assert shorten_refs(refs, 10**6) == refs


def test_a_text_of_which_hardly_anything_would_stay_is_left_out() -> None:
    assert shorten_refs((Reference("a.md", LONG),), 40) == () == shorten_refs((Reference("a.md", LONG),), 0)


@given(st.lists(st.text(alphabet="ab é漢\n", max_size=4000), max_size=4), st.integers(0, 3000))
@examples(60)
def test_the_texts_never_pass_their_budget(texts: list[str], budget: int) -> None:
    refs = [Reference(f"{n}.md", text) for n, text in enumerate(texts)]
    shown = shorten_refs(refs, budget)
    assert sum(estimate_tokens(r.text) for r in shown) <= budget
    assert [r.name for r in shown] == sorted(r.name for r in shown)
