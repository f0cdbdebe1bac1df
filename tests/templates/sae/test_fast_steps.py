"""sealed/fast_steps.py against plain PyTorch: codes, gradients, updates, and the cases at the edges."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.sae

from fast_steps import (  # noqa: E402
    SAEOptimizer,
    auxk_reconstruction,
    batch_topk_codes,
    batch_topk_encode,
    decode,
    decode_with_l1,
    firing_counts,
    jumprelu_encode,
    mean_l0,
    relu_encode,
    threshold_encode,
    topk_codes,
    topk_encode,
    update_threshold,
)

from tests.templates.sae.fast_kernels.plain_pytorch import (  # noqa: E402
    BANDWIDTH,
    BATCH,
    D_IN,
    D_SAE,
    PAIRS,
    PATHS,
    SAE,
    K,
    draw,
    fast_topk,
    plain_batch_topk,
    plain_topk,
    plain_update,
    squared_error,
)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize("fast_order", [True, False])
@pytest.mark.parametrize("name", PAIRS)
def test_fifteen_steps_are_those_of_plain_pytorch(name, fast_order):
    fast_loss, plain_loss, jump = PAIRS[name]
    sae = SAE(fast_order=fast_order, jump=jump)
    other = copy.deepcopy(sae)
    optimizer = SAEOptimizer(sae, lr=1e-2)
    adam = torch.optim.Adam(other.parameters(), lr=1e-2)
    first = None
    for step in range(15):
        x, lr = 2 * draw(BATCH, D_IN, seed=step), 1e-2 / (1 + step)
        one, two = fast_loss(sae, x), plain_loss(other, x)
        assert one.item() == pytest.approx(two.item(), rel=1e-4)
        first = first or one.item()
        optimizer.zero_grad()
        one.backward()
        adam.zero_grad()
        two.backward()
        optimizer.set_lr(lr)
        optimizer.step()
        plain_update(other, adam, lr)
    assert one.item() < first
    for (name, a), b in zip(sae.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("fast_order", [True, False])
@pytest.mark.parametrize("name", PAIRS)
def test_gradients_in_double_precision_are_those_of_plain_pytorch_including_the_inputs(name, fast_order):
    fast_loss, plain_loss, jump = PAIRS[name]
    sae = SAE(dtype=torch.float64, fast_order=fast_order, jump=jump)
    x = draw(BATCH, D_IN, dtype=torch.float64).requires_grad_()
    leaves = [x, *sae.parameters()]
    for a, b in zip(
        torch.autograd.grad(fast_loss(sae, x), leaves), torch.autograd.grad(plain_loss(sae, x), leaves), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
        assert b.abs().sum() > 0


# ------------------------------------------------------------------------------------------------------------ gradcheck


def double_leaves(*, batch=4, d_in=5, d_sae=9):
    sae = SAE(d_in, d_sae, dtype=torch.float64)
    x = draw(batch, d_in, dtype=torch.float64).requires_grad_()
    return [x, *(p.detach().clone().requires_grad_() for p in (*sae.encoder, sae.W_dec))]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("k", [1, 3, 9])
def test_topk_passes_gradcheck(path, k):
    def run(x, w_enc, b_enc, b_dec, w_dec):
        codes = topk_encode(x, w_enc, b_enc, b_dec, k, path=path)
        return decode(codes, w_dec, b_dec), codes.values.sum(), codes.dense()

    assert torch.autograd.gradcheck(run, double_leaves())


def test_batch_topk_passes_gradcheck():
    def run(x, w_enc, b_enc, b_dec, w_dec):
        codes = batch_topk_encode(x, w_enc, b_enc, b_dec, 2)
        return decode(codes, w_dec, b_dec), codes.dense()

    assert torch.autograd.gradcheck(run, double_leaves())


def test_relu_with_l1_passes_gradcheck():
    def run(x, w_enc, b_enc, b_dec, w_dec):
        return decode_with_l1(relu_encode(x, w_enc, b_enc, b_dec), w_dec, b_dec)

    assert torch.autograd.gradcheck(run, double_leaves())


def test_jumprelu_passes_gradcheck_in_everything_but_the_threshold():
    log_threshold = torch.full((9,), -1.0, dtype=torch.float64)

    def run(x, w_enc, b_enc, b_dec, w_dec):
        z, _ = jumprelu_encode(x, w_enc, b_enc, b_dec, log_threshold, BANDWIDTH)
        return decode(z, w_dec, b_dec)

    assert torch.autograd.gradcheck(run, double_leaves())


@pytest.mark.parametrize("codes_of", [topk_codes, batch_topk_codes])
def test_codes_of_an_ideas_own_pre_activations_pass_gradcheck(codes_of):
    w_dec = draw(9, 5, seed=3, dtype=torch.float64).requires_grad_()
    b_dec = draw(5, seed=4, dtype=torch.float64).requires_grad_()

    def run(pre, w_dec, b_dec):
        codes = codes_of(pre, 3)
        scaled = codes.with_values(codes.values * 2 + 1)
        return decode(scaled, w_dec, b_dec), codes.dense()

    assert torch.autograd.gradcheck(run, [draw(4, 9, dtype=torch.float64).requires_grad_(), w_dec, b_dec])


# ---------------------------------------------------------------------------------------------------------------- codes


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("k", [1, K, D_SAE])
@pytest.mark.parametrize("batch", [1, BATCH])
def test_dense_codes_are_the_plain_encoders(path, k, batch):
    sae, x = SAE(), draw(batch, D_IN)
    codes = topk_encode(x, *sae.encoder, k, path=path)
    expected = plain_topk(sae.pre(x), k)
    torch.testing.assert_close(codes.dense(), expected)
    assert codes.shape == (batch, D_SAE)
    assert codes.values.shape == codes.latents.shape == codes.rows.shape == (batch * k,)
    torch.testing.assert_close(decode(codes, sae.W_dec, sae.b_dec), expected @ sae.W_dec + sae.b_dec)


@pytest.mark.parametrize("batch", [1, 7, BATCH])
@pytest.mark.parametrize("k", [1, K, D_SAE])
def test_batch_topk_keeps_k_times_batch_entries_which_are_the_largest(k, batch):
    sae, x = SAE(), draw(batch, D_IN)
    codes = batch_topk_encode(x, *sae.encoder, k)
    expected = plain_batch_topk(sae.pre(x), k)
    assert codes.values.shape == (k * batch,)
    assert int((codes.values > 0).sum()) == int((expected > 0).sum())
    torch.testing.assert_close(codes.dense(), expected)
    assert (codes.rows.diff() >= 0).all()
    if 1 < k < D_SAE and batch > 1:
        assert firing_counts(codes).sum() == k * batch
        assert torch.bincount(codes.rows).unique().numel() > 1, "rows are ragged"


@pytest.mark.parametrize("path", PATHS)
def test_a_batch_without_positive_pre_activations_gives_the_decoder_bias_and_no_encoder_gradient(path):
    sae, x = SAE(), draw(BATCH, D_IN)
    with torch.no_grad():
        sae.b_enc.fill_(-100.0)
    for codes in (topk_encode(x, *sae.encoder, K, path=path), batch_topk_encode(x, *sae.encoder, K)):
        x_hat = decode(codes, sae.W_dec, sae.b_dec)
        torch.testing.assert_close(x_hat, sae.b_dec.expand_as(x))
        assert mean_l0(codes) == 0 and firing_counts(codes).sum() == 0
        grads = torch.autograd.grad(squared_error(x, x_hat), list(sae.parameters()))
        by_name = dict(zip((n for n, _ in sae.named_parameters()), grads, strict=True))
        assert all((by_name[n] == 0).all() for n in ("W_enc", "b_enc", "W_dec")) and (by_name["b_dec"] != 0).any()


@pytest.mark.parametrize("path", PATHS)
def test_a_latent_that_nobody_uses_gets_no_gradient_and_the_others_do(path):
    sae, x = SAE(), draw(BATCH, D_IN)
    with torch.no_grad():
        sae.b_enc[:7] = -100.0
        sae.b_enc[-1] = -100.0
    codes = topk_encode(x, *sae.encoder, K, path=path)
    squared_error(x, decode(codes, sae.W_dec, sae.b_dec)).backward()
    unused = firing_counts(codes) == 0
    assert unused[:7].all() and unused[-1]
    assert (sae.W_dec.grad[unused] == 0).all() and (sae.W_enc.grad[:, unused] == 0).all()
    assert (sae.W_dec.grad[~unused].abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("k", [0, D_SAE + 1])
def test_an_impossible_k_is_named(k):
    sae, x = SAE(), draw(BATCH, D_IN)
    for encode in (topk_encode, batch_topk_encode):
        with pytest.raises(ValueError, match=f"k = {k}: it must be between 1 and d_sae = {D_SAE}"):
            encode(x, *sae.encoder, k)


def test_a_nan_in_the_input_reaches_the_loss():
    sae, x = SAE(), draw(BATCH, D_IN)
    x[3, 2] = float("nan")
    assert fast_topk("sparse")(sae, x).isnan()


def test_counts_and_l0_of_codes_are_those_of_the_dense_matrix():
    sae, x = SAE(), draw(BATCH, D_IN)
    for path in PATHS:
        codes = topk_encode(x, *sae.encoder, 40, path=path)  # more than are positive in most rows
        z = codes.dense()
        assert torch.equal(firing_counts(codes), (z != 0).sum(dim=0))
        assert torch.equal(firing_counts(z), (z != 0).sum(dim=0))
        assert mean_l0(codes) == mean_l0(z) == (z != 0).sum() / BATCH
        assert mean_l0(codes) < 40


def test_gradients_through_the_dense_codes_and_through_the_entries_are_one():
    for path in PATHS:
        grads = []
        for pick in (lambda codes: codes.dense(), lambda codes: codes.values):
            sae, x = SAE(), draw(BATCH, D_IN)
            codes = topk_encode(x, *sae.encoder, K, path=path)
            loss = squared_error(x, decode(codes, sae.W_dec, sae.b_dec)) + pick(codes).pow(2).sum()
            grads.append(torch.autograd.grad(loss, list(sae.parameters())))
        for a, b in zip(*grads, strict=True):
            torch.testing.assert_close(a, b)


def test_the_dense_path_is_the_sparse_path():
    for k in (1, K, D_SAE):
        sae, x = SAE(), draw(BATCH, D_IN)
        results = []
        for path in PATHS:
            codes = topk_encode(x, *sae.encoder, k, path=path)
            loss = squared_error(x, decode(codes, sae.W_dec, sae.b_dec))
            results.append([loss, codes.dense(), *torch.autograd.grad(loss, list(sae.parameters()))])
        for a, b in zip(*results, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


# --------------------------------------------------------------------------------------------- thresholds, dead latents


def test_running_threshold_starts_at_the_first_batch_and_then_follows():
    sae, threshold = SAE(), torch.tensor(-1.0)
    lowest = []
    for seed in (1, 2):
        codes = batch_topk_encode(draw(BATCH, D_IN, seed=seed), *sae.encoder, K)
        lowest.append(codes.values.min().item())
        update_threshold(threshold, codes, rate=0.25)
    assert threshold.item() == pytest.approx(0.75 * lowest[0] + 0.25 * lowest[1])
    with torch.no_grad():
        sae.b_enc.fill_(-100.0)
    before = threshold.item()
    update_threshold(threshold, batch_topk_encode(draw(BATCH, D_IN), *sae.encoder, K))
    assert threshold.item() == before


def test_threshold_encode_just_below_the_smallest_kept_value_gives_the_batch_topk_codes():
    sae, x = SAE(), draw(BATCH, D_IN)
    codes = batch_topk_encode(x, *sae.encoder, K)
    z = threshold_encode(x, *sae.encoder, codes.values.min() - 1e-5)
    torch.testing.assert_close(z, codes.dense())


def plain_auxk(sae, x, dead, k_aux):
    pre = sae.pre(x).masked_fill(~dead, float("-inf"))
    values, latents = pre.topk(min(k_aux, int(dead.sum())), dim=1)
    return torch.zeros_like(pre).scatter(1, latents, values.relu()) @ sae.W_dec


@pytest.mark.parametrize("n_dead", [1, 6, 40, D_SAE])
def test_auxk_is_the_plain_one_with_its_gradients(n_dead):
    sae, x = SAE(dtype=torch.float64), draw(BATCH, D_IN, dtype=torch.float64)
    dead = torch.zeros(D_SAE, dtype=torch.bool)
    dead[torch.randperm(D_SAE, generator=torch.Generator().manual_seed(0))[:n_dead]] = True
    leaves = list(sae.parameters())
    one = auxk_reconstruction(x, *sae.encoder, sae.W_dec, dead, 8)
    two = plain_auxk(sae, x, dead, 8)
    torch.testing.assert_close(one, two)
    up = draw(BATCH, D_IN, seed=9, dtype=torch.float64)
    for a, b in zip(torch.autograd.grad(one, leaves, up), torch.autograd.grad(two, leaves, up), strict=True):
        torch.testing.assert_close(a, b)


def test_auxk_without_dead_latents_is_none():
    sae = SAE()
    assert auxk_reconstruction(draw(4, D_IN), *sae.encoder, sae.W_dec, torch.zeros(D_SAE).bool(), 8) is None


# ------------------------------------------------------------------------------------------------------------ precision


@pytest.mark.parametrize("name", PAIRS)
def test_autocast_to_bfloat16_stays_near_float32_and_keeps_gradients_in_float32(name):
    fast_loss, _, jump = PAIRS[name]
    sae, x = SAE(jump=jump), draw(BATCH, D_IN)
    expected = fast_loss(sae, x)
    with torch.autocast("cpu", torch.bfloat16):
        loss = fast_loss(sae, x)
    assert loss.item() == pytest.approx(expected.item(), rel=0.03)
    loss.backward()
    assert all(p.grad.dtype is torch.float32 and p.grad.isfinite().all() for p in sae.parameters())


def test_values_under_autocast_are_float32_exact_for_the_entries_kept():
    sae, x = SAE(), draw(BATCH, D_IN)
    with torch.autocast("cpu", torch.bfloat16):
        codes = topk_encode(x, *sae.encoder, K, path="sparse")
    torch.testing.assert_close(codes.values, sae.pre(x)[codes.rows, codes.latents].relu())
