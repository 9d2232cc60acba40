"""The loop and its optimisers, on problems whose answers are known; no network anywhere."""

import gc
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nstlib.synthesis import pixels
from nstlib.synthesis.optimize import Step, synthesize
from nstlib.synthesis.optimizers import LBFGS, Adam

TARGET = torch.rand(1, 3, 6, 5, generator=torch.Generator().manual_seed(3)) * 0.8 + 0.1
START = torch.full_like(TARGET, 0.5)


def bowl(x: Tensor) -> dict[str, Tensor]:
    """A badly scaled quadratic in two named terms, smallest at TARGET."""
    weights = torch.logspace(0, 3, x.numel()).view_as(x)
    error = weights * (x - TARGET) ** 2
    return {"odd": error.flatten()[1::2].sum(), "even": error.flatten()[::2].sum()}


def run(terms=bowl, x0: Tensor = START, **options) -> list[Step]:
    return list(synthesize(x0, terms, **options))


@pytest.mark.parametrize(("name", "iterations"), [("lbfgs", 150), ("adam", 400)])
def test_both_optimisers_reach_the_minimum(name, iterations: int) -> None:
    steps = run(optimizer=name, iterations=iterations)
    torch.testing.assert_close(steps[-1].image, TARGET, atol=2e-3, rtol=0)
    assert [s.index for s in steps] == list(range(1, iterations + 1))
    assert {s.total for s in steps} == {iterations}


def test_steps_report_what_the_image_costs() -> None:
    for step in run(iterations=12):
        expected = {name: value.item() for name, value in bowl(step.image).items()}
        assert step.terms == pytest.approx(expected, rel=1e-3, abs=1e-6)
        assert step.loss == pytest.approx(sum(expected.values()), rel=1e-3, abs=1e-6)
    seconds = [step.seconds for step in run(iterations=5)]
    assert seconds == sorted(seconds) and seconds[0] > 0


def test_the_callers_tensor_is_untouched_and_images_are_detached_and_in_range() -> None:
    x0 = START.clone().requires_grad_()
    steps = run(lambda x: {"away": ((x - 3) ** 2).sum()}, x0, iterations=30)
    assert torch.equal(x0, START) and x0.grad is None
    for step in steps:
        assert not step.image.requires_grad
        assert 0 <= step.image.min() and step.image.max() <= 1
    assert steps[-1].image.min() == 1
    before = [s.image.clone() for s in steps]
    assert all(torch.equal(a, s.image) for a, s in zip(before, steps, strict=True))


def test_the_minimum_is_the_best_picture_not_a_better_one_cut_off() -> None:
    """A bowl with coupled pixels and its centre outside [0, 1]: clamping the centre is not the answer."""
    generator = torch.Generator().manual_seed(5)
    A = torch.randn(12, 12, generator=generator, dtype=torch.float64)
    H, centre = A @ A.T / 12 + 0.1 * torch.eye(12), 2 * torch.rand(12, generator=generator).double() - 0.5

    def loss(x: Tensor) -> Tensor:
        error = x.flatten() - centre
        return error @ H @ error

    best = torch.full((12,), 0.5, dtype=torch.float64)
    for _ in range(20_000):  # projected gradient descent
        best = (best - 0.1 * 2 * H @ (best - centre)).clamp(0, 1)
    steps = run(lambda x: {"bowl": loss(x)}, torch.full((1, 3, 2, 2), 0.5).double(), iterations=200)
    assert loss(best) < 0.9 * loss(centre.clamp(0, 1))
    assert steps[-1].loss == pytest.approx(float(loss(best)), rel=1e-3)
    assert steps[-1].loss == pytest.approx(float(loss(steps[-1].image)), rel=1e-9)


def test_lbfgs_agrees_with_torchs() -> None:
    """The same quasi-Newton iterates as torch.optim.LBFGS without line search, from the same first step."""
    x = START.clone()
    reference = START.clone().requires_grad_()
    torch_lbfgs = torch.optim.LBFGS(
        [reference], max_iter=1, history_size=6, tolerance_grad=0, tolerance_change=0
    )
    scale = 1e-4  # small enough that torch's first step is the plain negative gradient

    def closure() -> Tensor:
        torch_lbfgs.zero_grad()
        loss = scale * sum(bowl(reference).values())
        loss.backward()
        return loss

    ours = LBFGS(memory=6, cap=math.inf)
    for index in range(25):
        leaf = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(scale * sum(bowl(leaf).values()), leaf)
        change = ours(x, gradient)
        if index == 0:  # the rules for the very first step differ on purpose: take torch's
            change = -gradient * min(1, 1 / gradient.abs().sum().item())
        x = x + change
        torch_lbfgs.step(closure)
        torch.testing.assert_close(x, reference.detach(), rtol=1e-3, atol=1e-4)


def test_lbfgs_in_a_metric_starts_from_it() -> None:
    """Its steps are those of the dense formula (Nocedal and Wright, 6.17), begun with γP in place of γ."""
    generator = torch.Generator().manual_seed(0)
    n = 12
    A, root = (torch.randn(n, n, generator=generator, dtype=torch.float64) for _ in range(2))
    A, P = A @ A.mT + torch.eye(n), root @ root.mT / n + 0.1 * torch.eye(n)
    optimizer = LBFGS(cap=math.inf, preconditioner=lambda v: (P @ v.flatten()).view_as(v))
    x, pairs, before = torch.randn(1, 3, 2, 2, generator=generator).double(), [], None
    for _ in range(7):  # fewer than its memory
        g = (A @ x.flatten()).view_as(x)
        if before is not None:
            pairs.append(((x - before[0]).flatten(), (g - before[1]).flatten()))
        change, before = optimizer(x, g), (x, g)
        if pairs:
            s, y = pairs[-1]
            H = (s @ y) / (y @ P @ y) * P
            for s, y in pairs:
                V = torch.eye(n) - torch.outer(y, s) / (s @ y)
                H = V.mT @ H @ V + torch.outer(s, s) / (s @ y)
            torch.testing.assert_close(change.flatten(), -H @ g.flatten(), rtol=1e-6, atol=1e-9)
        x = x + change


def test_lbfgs_steps_are_capped() -> None:
    optimizer = LBFGS(cap=0.1)
    x = torch.zeros(1, 3, 4, 4)
    change = optimizer(x, torch.full_like(x, 1e9))
    assert change.square().mean().sqrt() <= 0.01 + 1e-6
    for scale in (1.0, -2.0, 5.0):
        x = x + change
        change = optimizer(x, torch.full_like(x, scale))
        assert change.square().mean().sqrt() <= 0.1 + 1e-6


def test_adam_agrees_with_torchs() -> None:
    x, reference = START.clone(), START.clone().requires_grad_()
    ours, theirs = Adam(lr=0.02), torch.optim.Adam([reference], lr=0.02, betas=(0.9, 0.99), eps=1e-12)
    for _ in range(20):
        leaf = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(sum(bowl(leaf).values()), leaf)
        x = x + ours(x, gradient)
        theirs.zero_grad()
        sum(bowl(reference).values()).backward()
        theirs.step()
        torch.testing.assert_close(x, reference.detach(), rtol=1e-4, atol=1e-5)


@given(st.integers(2, 30), st.sampled_from([math.nan, math.inf]), st.sampled_from(["lbfgs", "adam"]))
@settings(max_examples=20, deadline=None)
def test_values_that_stop_being_finite_end_the_run_with_the_last_good_image(at, value, optimizer) -> None:
    calls = 0

    def poisoned(x: Tensor) -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        return {"term": ((x - TARGET) ** 2).sum() * (value if calls >= at else 1.0)}

    steps = run(poisoned, iterations=60, optimizer=optimizer)
    assert len(steps) < 60
    assert steps[-1].failed and "stopped being a finite number" in steps[-1].stopped
    assert torch.equal(steps[-1].image, steps[at - 2].image)
    assert all(torch.isfinite(step.image).all() for step in steps)


def test_a_bad_start_is_said_at_once() -> None:
    (step,) = run(lambda x: {"term": (x * math.nan).sum()}, iterations=9)
    assert step.failed and step.index == 1 and torch.equal(step.image, START)


def test_a_step_that_fails_once_is_taken_back_and_the_run_goes_on() -> None:
    calls = 0

    def hiccup(x: Tensor) -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        return {"term": sum(bowl(x).values()) * (1e6 if calls == 7 else 1.0)}

    steps = run(hiccup, iterations=120)
    assert steps[6].image.equal(steps[5].image)
    assert not steps[-1].stopped
    torch.testing.assert_close(steps[-1].image, TARGET, atol=1e-2, rtol=0)


def test_the_stopping_rule() -> None:
    steps = run(lambda x: {"term": ((x - TARGET) ** 2).mean() + 1.0}, iterations=500, tolerance=0.005)
    assert 6 <= len(steps) < 40
    assert "converged" in steps[-1].stopped and not steps[-1].failed
    assert all(not step.stopped for step in steps[:-1])


def test_leaving_the_loop_stops_the_work() -> None:
    calls = 0

    def counted(x: Tensor) -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        return bowl(x)

    for step in synthesize(START, counted, iterations=1000):
        if step.index == 4:
            break
    assert calls == 4


@pytest.mark.parametrize(
    "options", [{"iterations": 0}, {"lr": 0.0}, {"lr": -1.0}, {"tolerance": -0.1}, {"optimizer": "sgd"}]
)
def test_mistakes_are_named(options) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        run(**options)


def test_a_run_keeps_four_images_while_its_objective_is_evaluated() -> None:
    """The image, the last one, its gradient, and the preconditioned one; the start image is not kept."""
    kept = []

    def terms(x: Tensor) -> dict[str, Tensor]:
        gc.collect()
        found = [t for t in gc.get_objects() if type(t) is Tensor and t.numel() == x.numel() == 3 * 37 * 41]
        kept.append(len({t.data_ptr() for t in found}))
        return {"a": (x - 0.5).square().sum()}

    start = {"preconditioner": pixels.blur_preconditioner, "history": (2, torch.bfloat16)}
    for _ in synthesize(torch.rand(1, 3, 37, 41), terms, iterations=4, **start):
        pass
    assert kept[-1] <= 4, kept
