"""sealed/fast_kernels/codes.py: selection of the largest, and codes with empty rows."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

pytestmark = pytest.mark.sae

from fast_kernels.codes import Codes, Layout, select_topk  # noqa: E402
from fast_steps import decode, mean_l0  # noqa: E402

from tests.templates.sae.fast_kernels.plain_pytorch import draw  # noqa: E402


def test_a_row_without_entries_is_reconstructed_by_the_decoder_bias():
    layout = Layout(torch.tensor([3, 1]), torch.tensor([0, 0, 2, 2]), 5)  # rows 0, 2 and 3 are empty
    values = torch.tensor([2.0, 1.0], requires_grad=True)
    w_dec, b_dec = draw(5, 4).requires_grad_(), draw(4, seed=2).requires_grad_()
    codes = Codes(layout, values=values)
    assert codes.rows.tolist() == [1, 1]
    expected = torch.zeros(4, 5).index_put((codes.rows, codes.latents), values) @ w_dec + b_dec
    x_hat = decode(codes, w_dec, b_dec)
    torch.testing.assert_close(x_hat, expected)
    leaves, up = [values, w_dec, b_dec], draw(4, 4, seed=5)
    for a, b in zip(torch.autograd.grad(x_hat, leaves, up), torch.autograd.grad(expected, leaves, up), strict=True):
        torch.testing.assert_close(a, b)


def test_codes_without_any_entry_work():
    layout = Layout(torch.zeros(0, dtype=torch.long), torch.zeros(3, dtype=torch.long), 5)
    w_dec, b_dec = draw(5, 4).requires_grad_(), draw(4, seed=2)
    codes = Codes(layout, values=torch.zeros(0, requires_grad=True))
    x_hat = decode(codes, w_dec, b_dec)
    torch.testing.assert_close(x_hat, b_dec.expand(3, 4))
    assert (torch.autograd.grad(x_hat.sum(), w_dec)[0] == 0).all()
    assert mean_l0(codes) == 0 and codes.dense().shape == (3, 5)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 700), st.data())
def test_selection_in_rounds_finds_the_values_of_topk(rows, width, data):
    k = data.draw(st.integers(1, width))
    pre = draw(rows, width, seed=data.draw(st.integers(0, 99)))
    if data.draw(st.booleans()):
        pre = (4 * pre).round()  # ties, and zeros of both signs
    values, latents = select_topk(pre, k)
    assert (latents.sort(dim=1).values.diff(dim=1) > 0).all(), "a latent was taken twice"
    assert torch.equal(values, pre.gather(1, latents).relu())
    assert torch.equal(values.sort(dim=1).values, pre.relu().topk(k, dim=1).values.sort(dim=1).values)
