"""The judge of pictures (benchmarks/judge.py) on pictures whose figures are known."""

import importlib
import math
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
from torch import Tensor


@pytest.fixture(scope="module")
def judge() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend("benchmarks")
        yield importlib.import_module("judge")


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def flat(*rgb: float, height: int = 64, width: int = 64) -> Tensor:
    return torch.tensor(rgb).view(1, 3, 1, 1).expand(1, 3, height, width).clone()


@pytest.mark.parametrize(
    "rgb, expected",
    [((1, 1, 1), (100, 0, 0)), ((1, 0, 0), (53.24, 80.09, 67.20)), ((0, 0, 1), (32.30, 79.19, -107.86))],
)
def test_colours_in_lab(judge: ModuleType, rgb: tuple[float, ...], expected: tuple[float, ...]) -> None:
    assert judge.lab(flat(*rgb))[:, 0, 0].tolist() == pytest.approx(expected, abs=0.02)


def test_the_grain_of_white_noise_is_its_share_of_all_frequencies(judge: ModuleType) -> None:
    """All but the disc of a quarter of a cycle: 1 − π/16."""
    image = 0.45 + 0.1 * noise(256, 192)
    luminance, chroma = judge.grain(image)
    L, a, b = judge.lab(image).flatten(1).var(1).tolist()
    share = 1 - math.pi / 16
    assert luminance == pytest.approx(share * L, rel=0.03)
    assert chroma == pytest.approx(share * (a + b), rel=0.03)


@pytest.mark.parametrize("top, left", [(0, 0), (96, 32), (96, 96), (160, 192)])
def test_grain_counts_alike_wherever_it_is(judge: ModuleType, top: int, left: int) -> None:
    """But for the outermost half block."""
    image, everywhere = flat(0.5, 0.5, 0.5, height=320, width=320), 0.45 + 0.1 * noise(320, 320)
    spot = (..., slice(top, top + 128), slice(left, left + 128))
    image[spot] = everywhere[spot]
    expected = judge.grain(everywhere)[0] * 128**2 / 320**2
    assert judge.grain(image)[0] == pytest.approx(expected, rel=0.45)


def test_what_is_smooth_has_no_grain(judge: ModuleType) -> None:
    slope = torch.linspace(0.2, 0.8, 128).expand(1, 3, 96, 128)
    assert max(judge.grain(slope)) < 1e-3
    assert max(judge.grain(flat(0.2, 0.5, 0.1))) < 1e-9


def test_distance_to_the_styles_colours(judge: ModuleType) -> None:
    style = torch.cat([flat(1, 1, 1), flat(0, 0, 0)], 3)
    image = torch.cat([flat(1, 1, 1, width=96), flat(1, 0, 0, width=32)], 3)
    L, a, b = judge.lab(flat(1, 0, 0))[:, 0, 0].tolist()
    mean, p99, share = judge.off_palette(image, style)
    nearest = min(math.dist((L, a, b), (light, 0, 0)) for light in (0, 100))
    assert (mean, p99, share) == pytest.approx((nearest / 4, nearest, 0.25), rel=1e-3)
    assert judge.off_palette(style, style)[1] == pytest.approx(0, abs=0.01)


def test_edges(judge: ModuleType) -> None:
    image = noise(64, 64)
    assert judge.edges(image, image) == pytest.approx(1)
    assert judge.edges(1 - image, image) > 0.8  # where they are, not which way they go
    assert abs(judge.edges(noise(64, 64, seed=1), image)) < 0.1
