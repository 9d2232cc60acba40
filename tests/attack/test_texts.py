"""Methods, settings and recipes of any shape: what is meant, or a ValueError that says what is wrong."""

import json
import time

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import nstlib
from nstlib.alignment.methods import LONGEST, MOST_PARTS

NUMBERS = st.one_of(
    st.floats(), st.integers(), st.sampled_from(["", "nan", "-0", "1e309", "1e-320", "९", "1_0"])
)
OPTIONS = st.sampled_from(
    [
        "c",
        "sigma",
        "bandwidth_factor",
        "n_features",
        "features",
        "estimator",
        "n_projections",
        "n_quantiles",
        "moments",
        "ridge",
        "",
        "seed",
    ]
)
NAMES = st.sampled_from([*nstlib.METHODS, "fusion", "", "LINEAR", "bn ", "__init__"])
PARTS = st.builds(
    lambda name, key, value, weight: f"{name}({key}={value}):{weight}", NAMES, OPTIONS, NUMBERS, NUMBERS
)
TEXTS = st.one_of(
    st.text(max_size=80),
    st.lists(st.one_of(NAMES, PARTS), max_size=20).map("+".join),
    st.text(alphabet="bnpoly(),:=+.0123456789e- \n", max_size=60),
)


@given(TEXTS)
@settings(max_examples=600, deadline=None)
@example("poly(c=1.23456789)")
@example("bn:0.1234567890123+poly:3e-300")
@example("gaussian(sigma=1e+5)")
@example("bn+bn")
def test_a_method_is_read_and_spelled_back_exactly_or_refused(text: str) -> None:
    try:
        method = nstlib.method(text)
    except ValueError as error:
        assert len(str(error)) < 600 + len(text) and str(error)
        return
    assert nstlib.method(str(method)) == method
    assert len(method.components()) <= MOST_PARTS


@given(st.floats(0, 1e300), st.floats(1e-300, 1e300), st.floats(1e-6, 1e6))
@settings(max_examples=200, deadline=None)
def test_every_digit_of_a_method_comes_back(c: float, weight: float, sigma: float) -> None:
    parts = {
        nstlib.PolynomialMMD(c=c): weight,
        nstlib.GaussianMMD(sigma=sigma): 1.0,
        nstlib.BNStatistics(): weight,
    }
    method = nstlib.Fusion(parts)
    assert nstlib.method(str(method)) == method


def test_equal_parts_are_one() -> None:
    assert nstlib.method("bn+bn:2+linear") == nstlib.Fusion(
        {nstlib.BNStatistics(): 3.0, nstlib.LinearMMD(): 1.0}
    )
    many = nstlib.method("+".join(["bn"] * 300))
    assert [weight for _, weight in many.components()] == [300.0]
    assert nstlib.method("bn+bn").components() != nstlib.method("bn").components()


@pytest.mark.parametrize(
    "text", ["(" * 10**6, "bn+" * 10**6, " " * 10**6, "bn:" + "1" * 10**6, "a" * 10**6, "+" * LONGEST]
)
def test_a_long_text_is_refused_at_once(text: str) -> None:
    begun = time.process_time()
    with pytest.raises(ValueError):
        nstlib.method(text)
    assert time.process_time() - begun < 0.5


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip
FIELDS = st.sampled_from([*nstlib.Settings().as_dict(), "nothing", "__init__"])


@given(st.dictionaries(FIELDS, VALUES, max_size=5))
@settings(max_examples=500, deadline=None)
def test_settings_of_any_shape_are_taken_or_refused_by_name(values: dict) -> None:
    try:
        chosen = nstlib.Settings.from_dict(values)
    except (ValueError, TypeError) as error:
        assert str(error)
        return
    assert nstlib.Settings.from_dict(json.loads(json.dumps(chosen.as_dict()))) == chosen


@given(FIELDS, VALUES)
@settings(max_examples=200, deadline=None)
def test_a_text_is_read_as_a_setting_or_refused_by_name(name: str, value: object) -> None:
    try:
        chosen = nstlib.Settings().parse(**{name: value})
    except (ValueError, TypeError) as error:
        assert name in str(error) or name == "method"
    else:
        assert nstlib.Settings.from_dict(chosen.as_dict()) == chosen


@pytest.mark.parametrize(
    "weights", [(1e308, 1e308, 0, 0, 0), (float("nan"), 1, 1, 1, 1), (0, 0, 0, 0, 0), (-1, 1, 1, 1, 1)]
)
def test_layer_weights_that_would_lose_the_style_are_refused(weights: tuple[float, ...]) -> None:
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="layer_weights must be finite"):
        list(nstlib.transfer(image, image.flip(-1), layer_weights=weights, iterations=2, size=64))


@pytest.mark.parametrize("weights", ["bn:1e308+linear:1e308"])
def test_part_weights_that_would_lose_the_style_are_refused(weights: str) -> None:
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="finite sum"):
        list(nstlib.transfer(image, image.flip(-1), method=weights, iterations=2, size=64))


def test_a_run_can_be_ended_inside_its_calibration() -> None:
    image, calls = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)), []

    class Enough(Exception):
        pass

    def check_cancel() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise Enough

    with pytest.raises(Enough):
        next(nstlib.transfer(image, image.flip(-1), method="bn+poly", check_cancel=check_cancel))
    assert len(calls) == 3
