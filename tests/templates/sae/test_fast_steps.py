"""The fast training steps against plain PyTorch: codes, gradients, updates, and the cases at the edges."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

pytestmark = pytest.mark.sae

import fast_path  # noqa: E402
from fast_codes import Codes, Layout, select_topk  # noqa: E402
from fast_steps import (  # noqa: E402
    SAEOptimizer,
    auxk_reconstruction,
    batch_topk_codes,
    batch_topk_encode,
    choose_path,
    decode,
    decode_with_l1,
    encoder_parameter,
    firing_counts,
    jumprelu_encode,
    mean_l0,
    relu_encode,
    threshold_encode,
    time_paths,
    topk_codes,
    topk_encode,
    update_threshold,
)

BATCH, D_IN, D_SAE, K = 32, 16, 64, 5
BANDWIDTH = 0.3
L1 = 0.05
PATHS = ("sparse", "dense")


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


class SAE(torch.nn.Module):
    """Parameters alone; the memory order of W_enc is the fast one, or the plain one."""

    def __init__(self, d_in=D_IN, d_sae=D_SAE, dtype=torch.float32, seed=0, fast_order=True, jump=False):
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        rows = torch.nn.functional.normalize(torch.randn(d_sae, d_in, generator=g, dtype=dtype), dim=1)
        self.W_dec = torch.nn.Parameter(rows)
        self.W_enc = encoder_parameter(rows.T) if fast_order else torch.nn.Parameter(rows.T.clone())
        self.b_enc = torch.nn.Parameter(0.1 * torch.randn(d_sae, generator=g, dtype=dtype))
        self.b_dec = torch.nn.Parameter(0.1 * torch.randn(d_in, generator=g, dtype=dtype))
        if jump:
            self.log_threshold = torch.nn.Parameter(torch.full((d_sae,), -1.0, dtype=dtype))

    @property
    def encoder(self):
        return self.W_enc, self.b_enc, self.b_dec

    def pre(self, x):
        return (x - self.b_dec) @ self.W_enc + self.b_enc


def draw(*shape: int, seed: int = 1, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def plain_topk(pre, k):
    values, latents = pre.relu().topk(k, dim=1)
    return torch.zeros_like(pre).scatter(1, latents, values)


def plain_batch_topk(pre, k):
    values, places = pre.relu().flatten().topk(k * pre.shape[0])
    return torch.zeros_like(pre).flatten().scatter(0, places, values).view_as(pre)


class PlainJump(torch.autograd.Function):
    """pre and H(pre - threshold) with straight-through gradients, term by term as in the paper."""

    @staticmethod
    def forward(ctx, pre, threshold):
        ctx.save_for_backward(pre, threshold)
        step = (pre > threshold).to(pre.dtype)
        return pre * step, step

    @staticmethod
    def backward(ctx, d_z, d_step):
        pre, threshold = ctx.saved_tensors
        kernel = (((pre - threshold) / BANDWIDTH).abs() < 0.5).to(pre.dtype)
        d_threshold = -threshold / BANDWIDTH * kernel * d_z - 1 / BANDWIDTH * kernel * d_step
        return d_z * (pre > threshold), d_threshold.sum(dim=0)


def squared_error(x, x_hat):
    return (x - x_hat).pow(2).sum(dim=1).mean()


# ----------------------------------------------------------------------------------------------- losses, fast and plain


def fast_topk(path) -> Callable:
    def loss(sae, x):
        return squared_error(x, decode(topk_encode(x, *sae.encoder, K, path=path), sae.W_dec, sae.b_dec))

    return loss


def fast_batch_topk(sae, x):
    return squared_error(x, decode(batch_topk_encode(x, *sae.encoder, K), sae.W_dec, sae.b_dec))


def fast_relu(sae, x):
    x_hat, l1 = decode_with_l1(relu_encode(x, *sae.encoder), sae.W_dec, sae.b_dec)
    return squared_error(x, x_hat) + L1 * l1


def fast_jump(sae, x):
    z, l0 = jumprelu_encode(x, *sae.encoder, sae.log_threshold, BANDWIDTH)
    return squared_error(x, decode(z, sae.W_dec, sae.b_dec)) + L1 * l0


def plain(sparsify) -> Callable:
    def loss(sae, x):
        return squared_error(x, sparsify(sae.pre(x), K) @ sae.W_dec + sae.b_dec)

    return loss


def plain_relu(sae, x):
    z = sae.pre(x).relu()
    l1 = (z * sae.W_dec.norm(dim=1)).sum(dim=1).mean()
    return squared_error(x, z @ sae.W_dec + sae.b_dec) + L1 * l1


def plain_jump(sae, x):
    z, step = PlainJump.apply(sae.pre(x), sae.log_threshold.exp())
    return squared_error(x, z @ sae.W_dec + sae.b_dec) + L1 * step.sum(dim=1).mean()


PAIRS = {
    "topk sparse": (fast_topk("sparse"), plain(plain_topk), False),
    "topk dense": (fast_topk("dense"), plain(plain_topk), False),
    "batch topk": (fast_batch_topk, plain(plain_batch_topk), False),
    "relu": (fast_relu, plain_relu, False),
    "jumprelu": (fast_jump, plain_jump, True),
}


def plain_update(sae, adam, lr, unit_rows=True, clip=1.0):
    adam.param_groups[0]["lr"] = lr
    with torch.no_grad():
        if unit_rows:
            along = (sae.W_dec.grad * sae.W_dec).sum(dim=1, keepdim=True)
            sae.W_dec.grad -= along * sae.W_dec
        torch.nn.utils.clip_grad_norm_(sae.parameters(), clip)
        adam.step()
        if unit_rows:
            sae.W_dec /= sae.W_dec.norm(dim=1, keepdim=True)


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


# ------------------------------------------------------------------------------------------------------------ optimiser


class Extended(SAE):
    """What an idea may add: a parameter of its own, and one without a gradient."""

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


# ----------------------------------------------------------------------------------------------------- paths, precision


def test_path_on_cpu_follows_from_the_shapes():
    assert choose_path(512, 4096, 1024, 32, "cpu") == "sparse"
    assert choose_path(512, 4096, 1024, 4096, "cpu") == "dense"


def test_both_paths_are_timed_without_touching_a_runs_random_numbers():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    seconds = time_paths(32, 512, 64, 4, "cpu", rounds=3)
    assert torch.equal(torch.rand(1), expected)
    assert set(seconds) == set(PATHS) and all(s > 0 for s in seconds.values())


def test_timed_path_is_the_faster_one_and_is_timed_once(monkeypatch):
    asked = []

    def answer(*args):
        asked.append(args)
        return {"dense": 1.0, "sparse": 2.0} if args[3] > 100 else {"dense": 1.0, "sparse": 1.01}

    monkeypatch.setattr(fast_path, "time_paths", answer)
    fast_path.timed_path.cache_clear()
    assert [fast_path.timed_path(8, 512, 4, k, "cuda:0", None) for k in (320, 40, 320)] == ["dense", "sparse", "dense"]
    assert len(asked) == 2
    fast_path.timed_path.cache_clear()


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
