"""The palette term: nearest colours against a search through all, and what it does to a run."""

import colorsys
import math
from collections.abc import Callable

import numpy as np
import oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import nstlib
from nstlib.alignment.palette import CELLS, Palette, nearest, project_to_palette
from nstlib.synthesis import colours, pixels


def random_colours(count: int, seed: int) -> Tensor:
    return torch.rand(1, 3, count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(st.integers(1, 40), st.integers(0, 999))
@settings(max_examples=20, deadline=None)
def test_the_nearest_colour_is_the_nearest_of_all(count: int, seed: int) -> None:
    """By a search through all colours; the table is off by a cell's width at either end at most."""
    S, F = random_colours(count, seed), random_colours(30, seed + 1)
    seen = torch.tensor([2.0, 4.0, 3.0]).double().sqrt()
    found = nearest(F, Palette().summary(S))
    nearest_of_all = torch.cdist(F[0].mT * seen, S[0].mT * seen).amin(1)
    named = ((F - found)[0].mT * seen).norm(dim=1)
    width = seen.norm() / (CELLS - 1)
    assert (named <= nearest_of_all + 2 * width).all()
    assert (named >= nearest_of_all - width).all()  # a cell's mean colour may be nearer than any


def test_no_distance_in_the_styles_own_colours_and_the_square_beyond() -> None:
    S = torch.tensor([[[0.2, 0.8], [0.2, 0.8], [0.2, 0.8]]]).double()
    assert Palette()(S, S).item() == 0
    F = torch.tensor([[[0.3, 0.8], [0.2, 0.8], [0.2, 0.8]]]).double()  # one of two pixels 0.1 away
    assert Palette(tolerance=0.02)(F, S).item() == pytest.approx(0.08**2 / 2)
    assert Palette(tolerance=0.1)(F, S).item() == pytest.approx(0)


def test_pink_lies_within_the_spread_of_red_and_white_but_not_in_their_palette() -> None:
    red, white, pink = (
        torch.tensor([c]).view(1, 3, 1) for c in ([0.9, 0.1, 0.1], [1.0, 1, 1], [0.95, 0.55, 0.55])
    )
    S = torch.cat([red, white], -1)
    assert nstlib.LinearMMD()(pink, S).item() == pytest.approx(0, abs=1e-12)
    assert Palette()(pink, S).item() > 0.05


def test_gradient_and_weights() -> None:
    S, F = random_colours(6, 1), random_colours(9, 2)
    weights = torch.rand(1, 9, generator=torch.Generator().manual_seed(3)).double()
    summary = Palette().summary(S)
    leaf = F.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(Palette().distance(leaf, summary, weights).sum(), leaf)
    expected = oracles.numeric_gradient(lambda x: Palette().distance(x, summary, weights).sum(), F)
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-8)
    only = torch.tensor([[0.0, 1, 0, 0, 0, 0]])
    assert nearest(F, Palette().summary(S, only)).allclose(S[..., 1:2])


def test_confined_keeps_what_is_near_and_bounds_what_is_far() -> None:
    S, F = random_colours(5, 1), random_colours(400, 2)
    summary = Palette().summary(S)
    before = (F - nearest(F, summary)).norm(dim=1)
    target = nearest(F, summary)
    moved = project_to_palette(F, summary, knee=0.1, reach=0.2)
    after = (moved - target).norm(dim=1)
    assert after.max() <= 0.2
    assert torch.equal(before <= 0.1, (moved - F).abs().amax(1) < 1e-12)
    order = before.argsort()
    assert (after[0, order[0]].diff() >= -1e-12).all()  # further stays further


def test_shapes_and_ranges_are_checked() -> None:
    with pytest.raises(ValueError, match="pixels"):
        Palette()(torch.rand(1, 4, 5), torch.rand(1, 4, 5))
    with pytest.raises(ValueError, match="tolerance"):
        Palette(tolerance=-1)


def test_grain_is_what_a_blur_takes_away() -> None:
    flat = torch.full((1, 3, 8, 9), 0.3)
    ramp = torch.linspace(0, 1, 9).expand(1, 3, 8, 9)
    board = (torch.arange(8).view(-1, 1) + torch.arange(9)).remainder(2).float().expand(1, 3, 8, 9)
    found = [pixels.features(x)["grain"].view(x.shape)[..., 1:-1, 1:-1] for x in (flat, ramp, board)]
    assert found[0].abs().max() < 1e-6
    assert found[1].abs().max() < 1e-6
    assert found[2].abs().sub(0.5).abs().max() < 1e-6  # all of a checkerboard but its mean


def hues(image: Tensor) -> set[int]:
    """The hues in twelfths of the circle of an image's saturated pixels."""
    found = set()
    for r, g, b in image[0].flatten(1).mT.tolist():
        h, s, v = colorsys.rgb_to_hsv(r, g, b)
        if s > 0.5 and v > 0.4:
            found.add(round(12 * h) % 12)
    return found


def test_a_run_uses_the_styles_colours_only() -> None:
    """A green photograph, a style of blue and white stripes: no green, yellow or red stays in the picture."""
    generator = torch.Generator().manual_seed(0)
    content = torch.rand(1, 3, 6, 8, generator=generator).repeat_interleave(8, 2).repeat_interleave(8, 3)
    style = torch.tensor([0.1, 0.2, 0.8]).view(1, 3, 1, 1).expand(1, 3, 48, 64).clone()
    style[..., ::8] = style[..., 1::8] = 1
    far = {}
    for palette in (0, 1):
        image = nstlib.stylize(content, style, iterations=30, palette=palette, dtype="float32")
        d = Palette(tolerance=0)
        far[palette] = d(image.flatten(2), style.flatten(2)).item() ** 0.5
    assert far[1] < pixels.REACH
    assert far[1] < far[0] / 3
    assert hues(image) <= {7, 8}


def test_palette_zero_is_the_bare_method() -> None:
    """No term, no clean-up: the last image is the loop's own."""
    content = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    style = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(2))
    steps = list(nstlib.transfer(content, style, iterations=3, palette=0, dtype="float32"))
    assert not any(name.startswith("palette") for name in steps[-1].terms)
    steps = list(nstlib.transfer(content, style, iterations=3, dtype="float32"))
    assert {name for name in steps[-1].terms if name.startswith("palette")} == {
        "palette/colours",
        "palette/nearest",
        "palette/grain",
    }
    for name in ("paper", "gatys", "tutorial"):
        assert nstlib.PRESETS[name].palette == 0
    assert nstlib.Settings.from_dict({"method": "bn"}).palette == 0  # a recipe from before
    assert nstlib.Settings().palette > 0


def dense(operator: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Tensor:
    """A linear operator on pictures as a matrix."""
    count = math.prod(shape)
    one = torch.eye(count, dtype=torch.float64)
    return torch.stack([operator(row.view(shape)).flatten() for row in one], 1)


def test_the_metric_of_a_run_is_symmetric_and_favours_what_is_wide() -> None:
    P = dense(pixels.blur_preconditioner, (1, 3, 5, 6))
    torch.testing.assert_close(P, P.mT)
    values = torch.linalg.eigvalsh(P)
    assert 1 - pixels.COARSE <= values[0] < 0.3 and values[-1] == pytest.approx(1)
    flat = torch.ones(1, 3, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(pixels.blur_preconditioner(flat), flat)


@given(st.integers(2, 7), st.integers(2, 7), st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_the_blur_is_its_own_gradient(height: int, width: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(pixels.blur, x)
    kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=torch.float64) / 16
    padded = torch.nn.functional.pad(x, [1] * 4, mode="replicate")
    expected = torch.nn.functional.conv2d(padded, kernel.expand(3, 1, 3, 3), groups=3)
    torch.testing.assert_close(pixels.blur(x), expected)


def noise(amount: float, seed: int, grey: bool = False) -> Tensor:
    draws = torch.randn(1, 1 if grey else 3, 256, 192, generator=torch.Generator().manual_seed(seed))
    return amount * draws.expand(1, 3, -1, -1)


def clouds(amount: float, seed: int) -> Tensor:
    """Noise eight times as wide: next to nothing of it in the top octave."""
    return torch.nn.functional.interpolate(noise(amount, seed)[..., :32, :24], scale_factor=8, mode="bicubic")


def covariance(image: Tensor) -> Tensor:
    """Of the pixels: (3, 3), in float64."""
    return torch.cov(image.flatten(2)[0].double(), correction=0)


def bands(image: Tensor) -> tuple[Tensor, Tensor]:
    """The image below and in its top octave."""
    fine = pixels.top_octave(image)
    return image - fine, fine


def spread(image: Tensor) -> tuple[float, float]:
    """Variance of the top octave: of grey, and of what is not grey."""
    fine = bands(image)[1]
    grey = fine.mean(1, keepdim=True)
    return float(grey.square().mean()), float((fine - grey).square().mean())


def restrained(image: Tensor, style: Tensor, strength: float = 1.0, mask: Tensor | None = None) -> Tensor:
    return pixels.limit_variance(image, [(pixels.band_covariances([style], [1.0]), mask)], strength)


@pytest.mark.parametrize("down, across, fine", [(0.15, 0.1, 0), (0.0, 0.35, 1), (0.2, 0.2, 1)])
def test_the_bands_part_at_a_quarter_of_a_cycle(down: float, across: float, fine: int) -> None:
    """A wave of so many cycles a pixel is in one of them; at the border it is broken."""
    phase = down * torch.arange(96.0).unsqueeze(1) + across * torch.arange(80.0)
    wave = torch.tensor([0.1, -0.1, 0.2]).view(1, 3, 1, 1) * torch.cos(2 * math.pi * phase)
    inside = (..., slice(16, -16), slice(16, -16))
    parts = bands(0.5 + wave)
    torch.testing.assert_close((parts[fine] - 0.5 * (fine == 0))[inside], wave[inside], rtol=0, atol=0.02)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31))
def test_the_top_octave_is_that_of_the_fft_of_the_whole_image(height: int, width: int, seed: int) -> None:
    x = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    spectrum = np.fft.fft2(np.pad(x[0].double(), [(0, 0), (16, 16), (16, 16)], mode="edge"))
    radius = torch.hypot(torch.fft.fftfreq(height + 32)[:, None], torch.fft.fftfreq(width + 32)).numpy()
    expected = np.fft.ifft2(np.where(radius > 0.25, spectrum, 0)).real[None, :, 16:-16, 16:-16]
    with pytest.MonkeyPatch.context() as patch:
        for area in (colours.STRIP, 50):
            patch.setattr(colours, "STRIP", area)
            assert np.abs(pixels.top_octave(x).numpy() - expected).max() < 1e-5


@pytest.mark.parametrize("area", [1, 200, 37 * 8])
def test_strips_give_what_the_whole_image_gives(area: int, monkeypatch) -> None:
    """One row at a time, several with a rest, and several without."""
    draws = torch.Generator().manual_seed(0)
    image, style, other = (torch.rand(1, 3, *side, generator=draws) for side in ((41, 37), (33, 29), (7, 50)))
    masks = (torch.rand(2, 1, 1, 41, 37, generator=draws) - 0.3).clamp(min=0)
    masks[0, ..., :20, :] = 0  # some strips are empty

    def finish() -> list[Tensor]:
        covariances = pixels.band_covariances([0.2 * style, other], [1.0, 2.0])
        palettes = [pixels.summarize_palette(styles, [1.0] * len(styles)) for styles in ([style], [other])]
        found = [*covariances, *(palette["nearest"] for palette in palettes)]
        for areas in ([None], list(masks), [masks[0, ..., :30, :9], masks[1]]):  # of any size
            limited = pixels.limit_variance(image, [(covariances, mask) for mask in areas], 1.0)
            regions = list(zip(palettes, areas, strict=False))
            found += [limited.clone(), pixels.remove_outlier_colours(limited, regions, 1.0, reach=0.05)]
        return [*found, colours.match_colours(style, image), colours.with_chroma(image, limited)]

    whole = finish()
    monkeypatch.setattr(colours, "STRIP", area)
    monkeypatch.setattr("nstlib.alignment.palette.CHUNK", area)
    for found, expected in zip(finish(), whole, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_a_palette_of_many_equal_pixels_is_exact() -> None:
    """Sums of float32 stop growing at 2²⁴; here their rounding alone would be 1 % off."""
    S = torch.tensor([0.3, 0.7, 0.1]).view(1, 3, 1).expand(1, 3, 1 << 20)
    found = nearest(S[..., :1], Palette().summary(S))
    torch.testing.assert_close(found, S[..., :1], rtol=0, atol=1e-3)


def test_colours_and_grain_spread_no_further_than_the_styles() -> None:
    """Where they do, each band comes to the style's covariance; where they do not, nothing changes."""
    picture = 0.5 + clouds(0.1, 1) + noise(0.04, 2)
    style = 0.4 + clouds(0.05, 3) + noise(0.02, 4)
    result = restrained(picture, style)
    for part, own, allowance in zip(bands(result), bands(style), pixels.ALLOWANCE, strict=True):
        more = torch.eye(3, dtype=torch.float64) + allowance
        expected = more @ covariance(own) @ more
        torch.testing.assert_close(covariance(part), expected, rtol=0, atol=0.03 * float(expected.max()))
    torch.testing.assert_close(result.mean((2, 3)), picture.mean((2, 3)), rtol=0, atol=1e-3)
    torch.testing.assert_close(restrained(style, picture), style, rtol=0, atol=1e-5)
    half = restrained(picture, style, strength=0.5)
    torch.testing.assert_close(half, (picture + result) / 2, rtol=0, atol=1e-5)
    assert torch.equal(restrained(picture, style, strength=0.0), picture)


def test_luminances_grain_has_its_room_and_chromas_none() -> None:
    grey = 0.5 + noise(0.02, 0, grey=True)
    a_little = 0.5 + (1 + 0.8 * 0.08) * noise(0.02, 0, grey=True)
    assert spread(restrained(a_little, grey))[0] == pytest.approx(spread(a_little)[0], rel=0.01)
    before, after = (spread(x) for x in (0.5 + noise(0.02, 0), restrained(0.5 + noise(0.02, 0), grey)))
    assert after[1] < 0.01 * before[1] and after[0] > 0.9 * before[0]


def test_colours_are_restrained_where_the_mask_is() -> None:
    picture, style = 0.5 + noise(0.06, 1), 0.5 + noise(0.01, 0)
    mask = torch.zeros(1, 1, 64, 48)  # of any size
    mask[..., :24] = 1
    result = restrained(picture, style, mask=mask)
    assert torch.equal(result[..., 96:], picture[..., 96:])
    assert spread(result[..., :80])[1] < 0.1 * spread(picture[..., :80])[1]


def test_where_masks_overlap_their_changes_share() -> None:
    """Twice the same region changes what one of it does, and not twice as much."""
    picture, style = 0.5 + noise(0.06, 1), 0.5 + noise(0.01, 0)
    region = (pixels.band_covariances([style], [1.0]), torch.ones(1, 1, 256, 192))
    twice = pixels.limit_variance(picture, [region, region], 1.0)
    torch.testing.assert_close(twice, restrained(picture, style), rtol=0, atol=1e-6)


def test_several_styles_mix_their_spreads() -> None:
    """The mixture's covariance is the mean of theirs and what their means differ by."""
    styles = [0.4 + noise(0.01, 0), (0.6 + noise(0.05, 1))[..., :30]]
    for k, mixed in enumerate(pixels.band_covariances(styles, [3.0, 1.0])):
        parts = [bands(style)[k] for style in styles]
        means = [part.mean((0, 2, 3)).double() for part in parts]
        apart = 3 / 16 * torch.outer(means[1] - means[0], means[1] - means[0])
        expected = 0.75 * covariance(parts[0]) + 0.25 * covariance(parts[1]) + apart
        torch.testing.assert_close(mixed[0].double(), expected, rtol=1e-3, atol=1e-8)


def test_one_colour_has_nothing_to_restrain() -> None:
    plain = torch.full((1, 3, 20, 20), 0.3)
    torch.testing.assert_close(restrained(plain, 0.5 + noise(0.01, 0)), plain)
    flat = restrained(0.5 + noise(0.01, 0), plain)  # and a style of one leaves nothing
    assert float(flat.flatten(2).std(-1).max()) < 1e-3
