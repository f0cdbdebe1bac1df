"""sealed/fast_kernels/optimizer.py against Adam with clipping, projection and normalisation in plain PyTorch."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.sae

from fast_steps import SAEOptimizer  # noqa: E402

from tests.templates.sae.fast_kernels.plain_pytorch import (  # noqa: E402
    BATCH,
    D_IN,
    D_SAE,
    SAE,
    draw,
    fast_topk,
    plain_update,
)


class Extended(SAE):
    """An SAE with two additions that an idea may make: a parameter of its own, and one without a gradient."""

    def __init__(self):
        super().__init__()
        self.gate = torch.nn.Parameter(torch.ones(D_SAE))
        self.unused = torch.nn.Parameter(torch.ones(3))


@pytest.mark.parametrize("unit_rows", [True, False])
@pytest.mark.parametrize("clip", [1e-2, 1.0, 1e6])
def test_update_is_clip_adam_projection_and_normalisation(unit_rows, clip):
    sae = Extended()
    other = copy.deepcopy(sae)
    optimizer = SAEOptimizer(sae, lr=1e-3, clip_norm=clip, unit_rows=("W_dec",) if unit_rows else ())
    adam = torch.optim.Adam(other.parameters(), lr=1e-3)
    for step in range(4):
        for name, p in sae.named_parameters():
            if name != "unused":
                p.grad = (step + 1) * draw(*p.shape, seed=100 + step)
                if name == "W_enc":
                    p.grad = p.grad.T.contiguous().T
                other.get_parameter(name).grad = p.grad.clone()
        optimizer.step()
        plain_update(other, adam, 1e-3, unit_rows, clip)
    for (name, a), b in zip(sae.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, msg=lambda m, name=name: f"{name}: {m}")
    if unit_rows:
        torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(D_SAE))


def test_step_returns_the_norm_before_clipping():
    sae = SAE()
    optimizer = SAEOptimizer(sae, lr=0.0, unit_rows=())
    for p in sae.parameters():
        p.grad = torch.full_like(p, 2.0)
    assert optimizer.step().item() == pytest.approx(2.0 * sum(p.numel() for p in sae.parameters()) ** 0.5)


def test_learning_rates_are_set_one_by_one_or_together():
    sae = SAE()
    before = {n: p.detach().clone() for n, p in sae.named_parameters()}
    optimizer = SAEOptimizer(sae, lr=1e-2)
    optimizer.set_lr(0.0)
    optimizer.set_lr({"b_enc": 1e-2})
    fast_topk("sparse")(sae, draw(BATCH, D_IN)).backward()
    optimizer.step()
    assert not torch.equal(sae.b_enc, before["b_enc"])
    torch.testing.assert_close(sae.W_enc, before["W_enc"], rtol=0, atol=0)
    with pytest.raises(ValueError, match="b_end is not a parameter"):
        optimizer.set_lr({"b_end": 1.0})
    with pytest.raises(ValueError, match="W_decoder is not a parameter"):
        SAEOptimizer(sae, lr=1.0, unit_rows=("W_decoder",))


def test_an_optimiser_goes_on_from_its_saved_state():
    def run(resumed: bool):
        sae = SAE()
        optimizer = SAEOptimizer(sae, lr=1e-2)
        for step in range(4):
            if resumed and step == 2:
                state = copy.deepcopy(optimizer.state_dict())
                optimizer = SAEOptimizer(sae, lr=1.0)
                optimizer.load_state_dict(state)
            optimizer.zero_grad()
            fast_topk("sparse")(sae, draw(BATCH, D_IN, seed=step)).backward()
            optimizer.step()
        return sae.W_enc.detach()

    assert torch.equal(run(True), run(False))
