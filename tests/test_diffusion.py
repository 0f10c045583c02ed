import importlib.util
import math

import pytest
import torch

from dreampose3d import diffusion
from dreampose3d.diffusion import cosine_alpha_bar, ddim_sample, ddim_times, q_sample

T = 1000


def test_ddim_maps_noise_to_the_gaussian_it_was_given():
    """For x_0 ~ N(mu, s^2) the ideal denoiser is known, and DDIM (eta 0) must map x_T to mu + s x_T."""
    mu, s, alpha_bar = 0.3, 0.5, cosine_alpha_bar(T)
    x_T = torch.randn(64, dtype=torch.float64, generator=seeded())
    *_, x_0 = ddim_sample(ideal(mu, s, alpha_bar), alpha_bar, x_T, num_steps=T)
    torch.testing.assert_close(x_0, mu + s * x_T, atol=5e-3, rtol=0)  # first order in 1 / T


def test_ddim_with_noise_samples_the_gaussian_it_was_given():
    """With eta 1 each sample is a new one, but their mean and spread are the data's."""
    mu, s, alpha_bar, count = 0.3, 0.5, cosine_alpha_bar(T), 5_000
    x_T = torch.randn(count, dtype=torch.float64, generator=seeded())
    *_, x_0 = ddim_sample(ideal(mu, s, alpha_bar), alpha_bar, x_T, T, eta=1.0, noise=fresh_noise(x_T))
    assert float(x_0.mean()) == pytest.approx(mu, abs=4 * s / math.sqrt(count))
    assert float(x_0.std()) == pytest.approx(s, abs=4 * s / math.sqrt(2 * count) + 2e-3)
    assert abs(float(torch.corrcoef(torch.stack((x_T, x_0)))[0, 1])) < 0.05


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_every_eta_keeps_the_forward_marginals(eta):
    """A denoiser that knows x_0 must see x_t ~ N(sqrt(alpha_bar_t) x_0, 1 - alpha_bar_t) at all t (Lemma 1 there)."""
    alpha_bar, x_0, count = cosine_alpha_bar(T), 0.7, 50_000

    def check(x_t, t):
        assert float(x_t.mean()) == pytest.approx(math.sqrt(alpha_bar[t]) * x_0, abs=4 / math.sqrt(count))
        assert float(x_t.std()) == pytest.approx(math.sqrt(1 - alpha_bar[t]), abs=4 / math.sqrt(2 * count))
        return torch.full_like(x_t, x_0)

    x_T = torch.randn(count, dtype=torch.float64, generator=seeded())
    assert len(list(ddim_sample(check, alpha_bar, x_T, 20, eta=eta, noise=fresh_noise(x_T)))) == 20


def test_schedule_agrees_with_diffusers():
    diffusers = pytest.importorskip("diffusers")
    theirs = diffusers.DDIMScheduler(T, beta_schedule="squaredcos_cap_v2").alphas_cumprod  # float32, hence 2e-6
    torch.testing.assert_close(cosine_alpha_bar(T).float(), theirs, atol=2e-6, rtol=0)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("num_steps", [1, 10, 50])
def test_steps_agree_with_diffusers(num_steps, eta):
    """At the same times, with the same table: what our denoiser is shown is what their step returns."""
    diffusers = pytest.importorskip("diffusers")
    alpha_bar = cosine_alpha_bar(T)
    theirs = diffusers.DDIMScheduler(T, clip_sample=False, prediction_type="sample", set_alpha_to_one=True)
    theirs.alphas_cumprod = alpha_bar
    theirs.set_timesteps(num_steps)
    noise = torch.randn(num_steps, 4, 17, 3, generator=seeded())
    x_T = torch.randn(4, 17, 3, generator=seeded(1))
    shown = []

    def denoise(x_t, t):
        shown.append((t, x_t))
        return torch.tanh(x_t + t / T)

    estimates = list(ddim_sample(denoise, alpha_bar, x_T, num_steps, eta=eta, noise=noise.__getitem__))
    x_t = x_T
    for step, (t, ours) in enumerate(shown):
        torch.testing.assert_close(ours, x_t, atol=1e-5, rtol=0)
        answer = theirs.step(estimates[step], t, ours, eta=eta, variance_noise=noise[step])
        x_t = answer.prev_sample.float()
    torch.testing.assert_close(estimates[-1], answer.pred_original_sample, atol=0, rtol=0)


def test_alpha_bar_is_the_papers_cosine():
    """f(t) / f(0) with f(t) = cos^2((t / T + 0.008) / 1.008 * pi / 2), but for the clipped last beta."""
    alpha_bar = cosine_alpha_bar(T)
    assert alpha_bar.dtype == torch.float64
    f = [math.cos((t / T + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(T + 1)]
    for t in range(T - 1):
        assert float(alpha_bar[t]) == pytest.approx(f[t + 1] / f[0], abs=1e-12)
    assert float(alpha_bar[-1] / alpha_bar[-2]) == pytest.approx(1 - 0.999, abs=1e-12)
    assert bool((alpha_bar.diff() < 0).all())


def test_q_sample_mixes_signal_and_noise():
    alpha_bar, x_0 = cosine_alpha_bar(T), torch.randn(3, 5, 2, generator=seeded())
    eps = torch.randn(3, 5, 2, generator=seeded(1))
    t = torch.tensor([0, 400, 999])
    x_t = q_sample(x_0, t, eps, alpha_bar)
    assert x_t.dtype == x_0.dtype
    for window, step in enumerate(t.tolist()):
        a = float(alpha_bar[step])
        torch.testing.assert_close(x_t[window], math.sqrt(a) * x_0[window] + math.sqrt(1 - a) * eps[window])


def test_q_sample_is_undone_by_a_perfect_denoiser():
    """One deterministic step from x_t with the true x_0 lands on the x_s of the same noise."""
    alpha_bar = cosine_alpha_bar(T)
    x_0, eps = torch.randn(1, 8, generator=seeded()), torch.randn(1, 8, generator=seeded(1))
    times = ddim_times(T, 4)
    shown = []

    def know(x_t, t):
        shown.append(x_t)
        return x_0

    start = q_sample(x_0, torch.tensor(times[:1]), eps, alpha_bar)
    list(ddim_sample(know, alpha_bar, start, 4))
    for t, x_t in zip(times, shown, strict=False):
        torch.testing.assert_close(x_t, q_sample(x_0, torch.tensor([t]), eps, alpha_bar), atol=1e-5, rtol=0)


def test_one_step_is_what_the_denoiser_says():
    alpha_bar, x_T = cosine_alpha_bar(T), torch.randn(5)
    called = []

    def denoise(x_t, t):
        called.append(t)
        return 2 * x_t

    for eta in (0.0, 1.0):
        (x_0,) = ddim_sample(denoise, alpha_bar, x_T, 1, eta=eta)
        assert torch.equal(x_0, 2 * x_T)
    assert called == [T - 1, T - 1]


def test_the_time_grid_is_d3dps():
    assert ddim_times(T, 1) == [999, -1]
    assert ddim_times(T, 10) == [999, 899, 799, 699, 599, 499, 399, 299, 199, 99, -1]
    assert ddim_times(T, 3) == [999, 665, 332, -1]  # 665.67 and 332.33, truncated
    assert ddim_times(5, 5) == [4, 3, 2, 1, 0, -1]


def test_a_span_keeps_the_steps_where_the_noise_is():
    assert ddim_times(T, 1, span=0.4) == [999, -1]
    assert ddim_times(T, 2, span=0.4) == [999, 799, -1]
    assert ddim_times(T, 4, span=0.4) == [999, 899, 799, 699, -1]
    seen = []
    list(ddim_sample(lambda x_t, t: seen.append(t) or x_t, cosine_alpha_bar(T), torch.zeros(1), 2, span=0.4))
    assert seen == [999, 799]


def test_clamp_limits_what_is_seen_and_said_but_not_the_state():
    """As D3DP does: the noise is inferred from the state itself, 1.2 here, not from the 1.1 that the network saw."""
    alpha_bar, seen = cosine_alpha_bar(T), []

    def denoise(x_t, t):
        seen.append(float(x_t))
        return torch.tensor([-0.5 if len(seen) == 1 else 9.0], dtype=torch.float64)

    first, last = ddim_sample(denoise, alpha_bar, torch.tensor([1.2], dtype=torch.float64), 2, clamp=1.1)
    a_t, a_s = float(alpha_bar[999]), float(alpha_bar[499])
    eps = (1.2 + 0.5 * math.sqrt(a_t)) / math.sqrt(1 - a_t)
    assert seen == pytest.approx([1.1, -0.5 * math.sqrt(a_s) + math.sqrt(1 - a_s) * eps])
    assert (float(first), float(last)) == (-0.5, 1.1)


def test_noise_is_asked_for_only_where_it_is_used():
    alpha_bar, x_T, asked = cosine_alpha_bar(T), torch.zeros(3), []

    def noise(step):
        asked.append(step)
        return torch.zeros(3)

    list(ddim_sample(lambda x_t, t: x_t, alpha_bar, x_T, 4, noise=noise))
    assert asked == []
    list(ddim_sample(lambda x_t, t: x_t, alpha_bar, x_T, 4, eta=0.5, noise=noise))
    assert asked == [0, 1, 2]
    torch.manual_seed(0)
    *_, one = ddim_sample(lambda x_t, t: x_t, alpha_bar, x_T, 4, eta=0.5)
    *_, two = ddim_sample(lambda x_t, t: x_t, alpha_bar, x_T, 4, eta=0.5)
    assert not torch.equal(one, two)


def test_sampling_records_no_gradient():
    """Loaded plainly: the tests' type checks hide from no_grad that the function is a generator."""
    spec = importlib.util.spec_from_file_location("plain_diffusion", diffusion.__file__)
    plain = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plain)
    weight = torch.ones((), requires_grad=True)
    for x_0 in plain.ddim_sample(lambda x_t, t: weight * x_t, cosine_alpha_bar(T), torch.randn(3), 3):
        assert not x_0.requires_grad
    assert torch.is_grad_enabled()


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="at least 1 diffusion step, got 0"):
        cosine_alpha_bar(0)
    for steps in (0, T + 1):
        with pytest.raises(ValueError, match=f"1 to {T} sampling steps, got {steps}"):
            ddim_times(T, steps)
        with pytest.raises(ValueError, match=f"1 to {T} sampling steps, got {steps}"):
            next(ddim_sample(lambda x_t, t: x_t, cosine_alpha_bar(T), torch.zeros(1), steps))
    with pytest.raises(ValueError, match="1 to 400 sampling steps, got 401"):
        ddim_times(T, 401, span=0.4)
    for span in (0, 1.1, math.nan):
        with pytest.raises(ValueError, match=rf"a span in \(0, 1\], got {span}"):
            ddim_times(T, 1, span=span)
    for eta in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=rf"eta in \[0, 1\], got {eta}"):
            next(ddim_sample(lambda x_t, t: x_t, cosine_alpha_bar(T), torch.zeros(1), 1, eta=eta))


def ideal(mu, s, alpha_bar):
    def denoise(x_t, t):
        a = alpha_bar[t].to(x_t)
        return mu + s**2 * a.sqrt() * (x_t - a.sqrt() * mu) / (a * s**2 + 1 - a)

    return denoise


def fresh_noise(like):
    generator = seeded(1)
    return lambda step: torch.randn(like.shape, dtype=like.dtype, generator=generator)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)
