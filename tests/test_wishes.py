"""What users ask for: keep colours, several styles, masks, the size of strokes, another start."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

import nstlib
from nstlib.__main__ import main
from nstlib.synthesis import colours
from nstlib.synthesis.pyramid import scale_image
from nstlib.synthesis.regions import build_objective

EXAMPLES = Path(__file__).parent.parent / "examples"
LAYERS = ("relu1_1", "relu2_1", "relu3_1")


def picture(name: str, size: int = 96) -> Tensor:
    return nstlib.load_image(EXAMPLES / f"{name}.jpg", size=size)


@pytest.fixture(scope="module")
def content() -> Tensor:
    return picture("contents/harbour")


@pytest.fixture(scope="module")
def styles() -> tuple[Tensor, Tensor]:
    return picture("styles/ink"), picture("styles/glass")


def chroma(image: Tensor) -> Tensor:
    return image - colours.luminance(image)


def test_luminance_only_keeps_the_contents_chroma(content, styles) -> None:
    image = nstlib.stylize(content, styles[1], colours="luminance", iterations=8)
    free = (image > 0.02).all(1, keepdim=True) & (image < 0.98).all(
        1, keepdim=True
    )  # clamping shifts the rest
    assert ((chroma(image) - chroma(content)).abs() * free).max() < 1e-5
    assert (colours.luminance(image) - colours.luminance(content)).abs().mean() > 0.03


def test_a_recoloured_style_has_the_contents_mean_and_covariance() -> None:
    generator = torch.Generator().manual_seed(0)
    mix = torch.tensor([[0.05, 0.02, 0], [0, 0.06, 0.01], [0.02, 0, 0.03]])
    content = 0.5 + torch.einsum("ij,bjhw->bihw", mix, torch.randn(1, 3, 40, 40, generator=generator))
    style = 0.4 + 0.05 * torch.randn(1, 3, 30, 50, generator=generator)
    found = colours.match_colours(style, content).flatten(2)[0]
    wanted = content.flatten(2)[0]
    assert found.mean(1).tolist() == pytest.approx(wanted.mean(1).tolist(), abs=2e-3)
    assert found.cov().flatten().tolist() == pytest.approx(wanted.cov().flatten().tolist(), abs=2e-4)


def test_the_contents_colours_stay_nearer(content, styles) -> None:
    d = nstlib.alignment.Wasserstein()
    kept, taken = (
        nstlib.stylize(content, styles[1], colours=which, iterations=10) for which in ("content", "style")
    )
    to_content = [d(x.flatten(2), content.flatten(2)).item() for x in (kept, taken)]
    assert to_content[0] < to_content[1] / 3


def objective(content, style, encoder, **changes):
    settings = nstlib.Settings(levels=1, dtype="float32", **changes)
    return build_objective(settings, encoder, content, style)


@pytest.mark.parametrize("method", ["linear", "poly", "bn", "gaussian", "wasserstein"])
def test_several_styles_are_their_mixture(method, content, styles) -> None:
    """Shares of 1 and 0 are the first style alone; in between, the means mix linearly."""
    encoder = nstlib.load_encoder()
    alone = objective(content, styles[:1], encoder, method=method)
    first = objective(content, styles, encoder, method=method, style_weights=(2.0, 0.0))
    both = objective(content, styles, encoder, method=method, style_weights=(3.0, 1.0))
    other = objective(content, styles[1:], encoder, method=method)
    for a, f, b, o in zip(alone.style, first.style, both.style, other.style, strict=True):
        for name in a.summary:
            torch.testing.assert_close(a.summary[name], f.summary[name], rtol=2e-3, atol=1e-4)
        if "mean" in a.summary:
            mixed = 0.75 * a.summary["mean"] + 0.25 * o.summary["mean"]
            torch.testing.assert_close(b.summary["mean"], mixed, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["linear", "poly", "wasserstein"])
def test_each_region_is_near_its_own_style(method, content, styles) -> None:
    """Inside each mask the statistics are three times closer to the mask's own style than to the other."""
    left = torch.zeros(content.shape[2:])
    left[:, : left.shape[1] // 2] = 1
    masks = (left, 1 - left)
    image = nstlib.stylize(content, styles, method=method, masks=masks, iterations=24, gamma=2)
    encoder, d = nstlib.load_encoder(), nstlib.method(method)
    half = image.shape[3] // 2
    parts = image[..., :half], image[..., half:]
    for k, part in enumerate(parts):
        F = encoder(part, LAYERS)
        own, other = (encoder(styles[j], LAYERS) for j in (k, 1 - k))
        for layer in LAYERS:
            assert d(F[layer], own[layer]) < d(F[layer], other[layer]) / 3


@pytest.mark.parametrize("which", ["style", "luminance", "content"])
def test_outside_the_masks_the_content_is_unchanged(which: str, content, styles) -> None:
    """Bit for bit, and a pixel changes at most by the masks' sum, however far receptive fields reach."""
    ramp = (torch.linspace(-0.5, 1.5, 96)).clamp(0, 1).expand(72, 96).clone()
    ramp[:24] = (ramp[:24] > 0.5).float()  # a hard edge and a soft one
    options = {"colours": which, "iterations": 8, "gamma": 5.0, "levels": 2}
    for masks in ([ramp], [0.5 * ramp, 0.5 * ramp]):
        for start in ("content", "random"):
            steps = nstlib.transfer(content, styles[: len(masks)], masks=masks, start=start, **options)
            image = list(steps)[-1].image
            change = (image - content).abs().amax(1)[0]
            assert change[ramp == 0].max() == 0
            assert (change <= ramp + 1e-6).all()
            assert change[ramp == 1].mean() > 0.02


def test_the_style_scale_resizes_the_style(content, styles) -> None:
    assert [round(1.5 * side) for side in styles[0].shape[2:]] == list(scale_image(styles[0], 1.5).shape[2:])
    plain, smaller = (
        nstlib.stylize(content, styles[0], iterations=4, levels=1, style_scale=scale) for scale in (1, 0.5)
    )
    assert (plain - smaller).abs().max() > 0.01


def test_any_picture_can_be_the_start(content, styles) -> None:
    start = picture("contents/valley")
    for levels in (1, 2):
        steps = nstlib.transfer(
            content, styles[0], initial=start, levels=levels, iterations=4, palette=0, size=96
        )
        first = next(steps).image
        near = torch.nn.functional.interpolate(start, content.shape[2:], mode="bicubic", antialias=True)
        assert (first - near).abs().mean() < (0.01 if levels == 1 else 0.06)
        steps.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"style_weights": (1.0,)}, "one weight for each style: 1 for 2"),
        ({"style_weights": (0.0, 0.0)}, "not all zero"),
        ({"style_weights": (1.0, -1.0)}, ">= 0"),
        ({"masks": [torch.ones(4, 4)]}, "one mask for each style: 1 for 2"),
        ({"masks": [torch.ones(4, 4)] * 2, "style_weights": (1.0, 1.0)}, "one or the other"),
        ({"masks": [torch.zeros(4, 4)] * 2}, "all masks are empty"),
        ({"masks": [torch.ones(4, 4), -torch.ones(4, 4)]}, "mask 2 must hold"),
        ({"masks": [torch.ones(4, 4), torch.ones(3, 4, 4)]}, "mask 2 must be"),
        ({"initial": torch.ones(4, 4)}, "initial must be an image"),
        ({"colours": "sepia"}, "colours must be one of"),
        ({"style_scale": 0.0}, "style_scale must lie in"),
        ({"palette": -1.0}, "palette must lie in"),
    ],
)
def test_mistakes_are_named(changes, message, content, styles) -> None:
    with pytest.raises(ValueError, match=message):
        nstlib.transfer(content, styles, **changes)
    with pytest.raises(ValueError, match="style 2"):
        nstlib.transfer(content, (styles[0], torch.ones(3)))
    with pytest.raises(ValueError, match="at least one"):
        nstlib.transfer(content, ())


def test_the_command_line_does_all_of_it(tmp_path: Path, content) -> None:
    half = torch.zeros(1, 3, *content.shape[2:])
    half[..., :40] = 1
    masks = [nstlib.save_image(x, tmp_path / f"{k}.png") for k, x in enumerate((half, 1 - half))]
    inks = [str(EXAMPLES / "styles" / f"{name}.jpg") for name in ("ink", "glass")]
    photo, out = str(EXAMPLES / "contents" / "harbour.jpg"), tmp_path / "out.png"
    common = ["-o", str(out), "--size", "96", "--iterations", "3", "--quiet"]
    assert main(["transfer", photo, *inks, "--mask", *map(str, masks), *common]) == 0
    assert main(["transfer", photo, *inks, "--style-weights", "2", "1", *common]) == 0
    assert nstlib.read_recipe(out)["settings"]["style_weights"] == [2, 1]
    extra = ["--initial", inks[1], "--colours", "luminance", "--style-scale", "1.5", "--palette", "0.5"]
    assert main(["transfer", photo, inks[0], *extra, *common]) == 0
    assert nstlib.read_recipe(out)["settings"]["colours"] == "luminance"
    assert main(["transfer", photo, *inks, "--mask", str(masks[0]), *common]) == 2
