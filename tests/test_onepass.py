"""One pass: the size of the content, strength, what is left, several styles, masks."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import nstlib
from nstlib.__main__ import main
from nstlib.feedforward.decoders import LEVELS, REFINED, WEIGHTS, WIDTHS, Decoder, load_decoder
from nstlib.feedforward.pipeline import method_shares
from nstlib.feedforward.prepared import gamma_to_strength, prepare
from nstlib.synthesis.colours import luminance
from nstlib.synthesis.pyramid import resize_image

METHODS = ["linear", "bn", "poly", "wasserstein", "gaussian", "bn:0.7+poly:0.3"]


@pytest.fixture(scope="module")
def photograph() -> Tensor:
    return nstlib.load_image("examples/contents/valley.jpg", size=112)


@pytest.fixture(scope="module")
def waves() -> Tensor:
    return nstlib.load_image("examples/styles/waves.jpg", size=96)


def shares_left(content: Tensor, style: Tensor, picture: Tensor, method: str) -> list[float]:
    """The picture's discrepancy over the photograph's, per layer."""
    encoder, d = nstlib.load_encoder(), nstlib.method(method)
    P, S, F = (encoder(image, LEVELS) for image in (content, style, picture))
    return [float(d(F[layer], S[layer]) / d(P[layer], S[layer])) for layer in LEVELS]


@pytest.mark.parametrize("method", METHODS)
def test_most_of_the_discrepancy_is_gone(method: str, photograph: Tensor, waves: Tensor) -> None:
    picture = nstlib.onepass(photograph, waves, method)
    left = shares_left(photograph, waves, picture, "bn" if "+" in method else method)
    assert picture.shape == photograph.shape and 0 <= picture.min() and picture.max() <= 1
    assert sum(left[:4]) / 4 < (0.7 if method == "linear" else 0.5)  # the clean-up of colours moves means


def test_the_colours_are_the_styles(photograph: Tensor, waves: Tensor) -> None:
    """The distance of each pixel to the nearest one of the style: without the projection, and with it."""
    colours, ready = waves.flatten(2)[0].T, prepare(photograph, waves, "linear")
    bare, projected = (
        torch.cdist(ready(palette=palette).flatten(2)[0].T, colours).amin(1).max() for palette in (0, 1)
    )
    assert projected < 0.5 * bare


def test_the_content_stays_recognisable(photograph: Tensor, waves: Tensor) -> None:
    """Nearer to its own photograph than to another, by how channels vary over positions."""
    encoder, layer = nstlib.load_encoder(), "relu4_2"
    other = nstlib.load_image("examples/contents/harbour.jpg", size=112)
    other = torch.nn.functional.interpolate(other, photograph.shape[2:], mode="bilinear")
    F, P, Q = (
        encoder(x, [layer])[layer][0] for x in (nstlib.onepass(photograph, waves, "bn"), photograph, other)
    )

    def alike(A: Tensor, B: Tensor) -> float:
        A, B = (X - X.mean(1, keepdim=True) for X in (A, B))
        return float(torch.nn.functional.cosine_similarity(A, B, dim=1).mean())

    assert alike(F, P) > alike(F, Q) + 0.1


def test_strength(photograph: Tensor, waves: Tensor) -> None:
    pictures = [nstlib.onepass(photograph, waves, "poly", t, detail=1.0) for t in (0.0, 0.25, 0.26, 0.5, 1.0)]
    torch.testing.assert_close(pictures[0], photograph, rtol=0, atol=1e-5)
    distances = [float((picture - photograph).square().mean().sqrt()) for picture in pictures]
    assert distances == sorted(distances)
    assert (pictures[2] - pictures[1]).abs().mean() < 0.1 * (pictures[4] - pictures[0]).abs().mean()


@pytest.mark.parametrize("method", METHODS)
def test_strength_0_is_the_content_exactly_and_more_strength_leaves_less(
    method: str, photograph: Tensor, waves: Tensor
) -> None:
    ready = prepare(photograph, waves, method)
    assert torch.equal(ready(0.0), photograph) and torch.equal(ready(0.0, 0.5, rounds=2), photograph)
    parts = "bn" if "+" in method else method
    images = [ready(strength, palette=0) for strength in (0.0, 0.15, 0.4, 0.7, 1.0)]
    left = [sum(shares_left(photograph, waves, image, parts)) for image in images]
    assert left == sorted(left, reverse=True) and left[-1] < 0.6 * left[0]
    assert (ready(1e-3) - photograph).abs().max() < 0.05, "no jump at 0"


def test_gamma_and_strength_correspond() -> None:
    gammas = (0.0, 0.01, 0.1, 1.0, 10.0, 1000.0)
    strengths = [gamma_to_strength(gamma) for gamma in gammas]
    assert strengths == sorted(strengths) and strengths[0] == 0 and strengths[-2:] == [1, 1]
    assert gamma_to_strength(0.5) == pytest.approx(0.625) and gamma_to_strength(1) == pytest.approx(5 / 6)


def test_a_sum_of_methods_mixes_what_was_learned_for_its_parts() -> None:
    for method, expected in (
        ("linear", (1, 0, 0, 0)),
        ("bn:3+poly", (0, 0.75, 0.25, 0)),
        ("poly(c=2)", (0, 0, 0, 1)),  # its map matches covariances, as that of wasserstein does
        ("gaussian:2+linear:2", (0.5, 0, 0, 0.5)),
    ):
        assert method_shares(nstlib.method(method)).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("size", [(16, 16), (16, 90), (33, 47), (100, 61)])
def test_any_size_and_shape(size: tuple[int, int], waves: Tensor) -> None:
    content = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    picture = nstlib.onepass(content, waves[..., :31, :50], "poly")
    assert picture.shape == content.shape and picture.isfinite().all()


def test_a_share_of_one_is_that_style_alone(photograph: Tensor, waves: Tensor, style: Tensor) -> None:
    both = [waves, style]
    for i, weights in enumerate(([1, 0], [0, 1])):
        mixed = nstlib.onepass(photograph, both, "bn", style_weights=weights)
        difference = (mixed - nstlib.onepass(photograph, both[i], "bn")).abs()
        assert difference.mean() < 5e-3  # weighted sums round otherwise, in an encoder of bfloat16 too
    half = nstlib.onepass(photograph, both, "linear")
    colours = [image.mean((0, 2, 3)) for image in (nstlib.onepass(photograph, s, "linear") for s in both)]
    between = half.mean((0, 2, 3))
    assert ((between - colours[0]).norm() < (colours[1] - colours[0]).norm()).item()


def test_each_region_gets_its_own_style(photograph: Tensor, waves: Tensor, style: Tensor) -> None:
    left = torch.zeros(1, 1, *photograph.shape[2:])
    left[..., : photograph.shape[3] // 2] = 1
    picture = nstlib.onepass(photograph, [waves, style], "bn", masks=[left, 1 - left])
    encoder, d = nstlib.load_encoder(), nstlib.method("bn")
    half = picture.shape[3] // 2
    for region, own, other in ((picture[..., :half], waves, style), (picture[..., half:], style, waves)):
        F, S, T = (encoder(x, ["relu1_1"])["relu1_1"] for x in (region, own, other))
        assert 3 * d(F, S) < d(F, T)
    everywhere = torch.ones(7, 9)
    torch.testing.assert_close(
        nstlib.onepass(photograph, [waves], "bn", masks=[everywhere], palette=0, encoder=encoder),
        nstlib.onepass(photograph, waves, "bn", palette=0, encoder=encoder),  # its projection jumps
        rtol=0,
        atol=1e-3,
    )


def test_a_model_keeps_the_content_s_size_and_names_bad_inputs(waves: Tensor) -> None:
    model = nstlib.feedforward.OnePass()
    content = torch.rand(1, 3, 33, 47, generator=torch.Generator().manual_seed(0))
    right = torch.linspace(0, 1, 47).expand(1, 1, 33, 47)
    image = model(model.encode_content(content), [model.encode_style(waves, "bn", mask=right)])
    assert image.shape == content.shape and torch.allclose(image[..., 0], content[..., 0], atol=1e-5)
    for call, words in (
        (lambda: model.encode_content(content[0]), "add the batch dimension"),
        (lambda: model.encode_style([waves], weights=[1, 2]), "one weight for each style: 2 for 1"),
        (lambda: model.encode_style([]), "at least one image"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_mistakes_are_named(photograph: Tensor, waves: Tensor) -> None:
    cases = [
        (dict(strength=2.0), "strength must lie in 0 … 1, got 2"),
        (dict(detail=-1.0), "detail must lie in 0 … 1"),
        (dict(method="cubist"), "unknown method 'cubist'"),
        (dict(style_weights=[1, 2]), "one weight for each style: 2 for 1"),
        (dict(masks=[torch.ones(4, 4)] * 2), "one mask for each style"),
        (dict(masks=[-torch.ones(1, 1, 4, 4)]), "mask 1 must hold"),
        (dict(encoder="vgg19-random"), "needs the embedded encoder"),
    ]
    for options, message in cases:
        with pytest.raises(ValueError, match=message):
            nstlib.onepass(photograph, waves, **options)
    with pytest.raises(ValueError, match=r"content must be an image \(1, 3, H, W\).*image\[None\]"):
        nstlib.onepass(photograph[0], waves)


def test_the_same_call_gives_the_same_picture(photograph: Tensor, waves: Tensor) -> None:
    for method in ("poly", "gaussian"):
        assert torch.equal(
            nstlib.onepass(photograph, waves, method), nstlib.onepass(photograph, waves, method)
        )


def test_the_decoder_is_small_and_whole() -> None:
    assert WEIGHTS.stat().st_size <= 3.5e6
    assert sum(path.stat().st_size for path in Path("nstlib").rglob("weights/*")) <= 8e6
    decoder = Decoder()
    for level in range(1, 6):
        x = torch.rand(2, WIDTHS[level], 4, 6)
        scale = 1 if level == 1 else 2
        assert decoder.up(x, level).shape == (2, WIDTHS[level - 1], 4 * scale, 6 * scale)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 4)])
def test_the_decoder_s_convolutions_by_their_definition(size: tuple[int, int]) -> None:
    """Enlarge by nearest neighbours, repeat the edge, convolve; and a correction sees both maps at once."""
    decoder, generator = load_decoder(), torch.Generator().manual_seed(3)

    def convolve(x: Tensor, conv: nn.Module) -> Tensor:
        padded = functional.pad(x.double(), (1, 1, 1, 1), mode="replicate")
        return functional.conv2d(padded, conv.weight.double(), conv.bias.double())

    for block in decoder.blocks.values():
        for index, conv in enumerate(block.convs):
            x = torch.randn(1, conv.in_channels, *size, generator=generator)
            enlarged = index == block.upsample_before
            large = x.repeat_interleave(2, 2).repeat_interleave(2, 3) if enlarged else x
            wanted = convolve(large, conv).float()
            torch.testing.assert_close(block.layer(x, index), wanted, rtol=1e-4, atol=1e-4)
    methods = torch.tensor([0.1, 0.2, 0.3, 0.4])
    for level in REFINED:
        x, own = (torch.randn(1, WIDTHS[level], *size, generator=generator) for _ in range(2))
        first, _, second = decoder.refining[f"refine{level}"].children()
        hidden = decoder.tune(convolve(torch.cat([x, own], 1), first).float(), level, methods, 0.6)
        wanted = x + 0.6 * convolve(hidden.clamp(min=0), second).float()
        found = decoder.refine(x.clone(), decoder.respond(own, level), level, methods, 0.6)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_a_pass_changes_nothing_that_the_next_one_needs(photograph: Tensor, waves: Tensor) -> None:
    """Maps are changed in place; those of the content are not among them."""
    for method in ("poly", "linear", "gaussian", "bn:0.5+wasserstein:0.5"):
        prepared = prepare(photograph, waves, method, encoder=nstlib.load_encoder(dtype="float32"))
        held = [tensor.clone() for tensor in (*prepared.encoded.maps, *prepared.encoded.residuals)]
        first = prepared(0.9)
        prepared(0.3)
        assert torch.equal(prepared(0.9), first)
        for now, before in zip((*prepared.encoded.maps, *prepared.encoded.residuals), held, strict=True):
            assert torch.equal(now, before)


def test_the_command(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    pictures = ["examples/contents/valley.jpg", "examples/styles/ink.jpg"]
    options = ["--size", "96", "--method", "bn", "--strength", "0.8"]
    assert main(["onepass", *pictures, "-o", str(out), *options]) == 0
    recipe = nstlib.read_recipe(out)
    assert recipe["kind"] == "onepass" and recipe["method"] == "bn" and recipe["strength"] == 0.8


def test_colours_and_the_size_of_strokes_are_as_in_a_run(content, style):
    small = resize_image(style, *(round(0.5 * side) for side in style.shape[2:]))
    by_hand = nstlib.onepass(content, small, "bn", palette=0)
    assert torch.equal(nstlib.onepass(content, style, "bn", palette=0, style_scale=0.5), by_hand)
    grey = nstlib.onepass(content, style, "bn", colours="luminance")
    inside = ((grey > 0.01) & (grey < 0.99)).all(1, keepdim=True).expand_as(grey)
    chroma = [picture - luminance(picture) for picture in (grey, content)]
    assert inside.float().mean() > 0.5
    assert torch.allclose(chroma[0][inside], chroma[1][inside], atol=1e-5), "the photograph's"
    with pytest.raises(ValueError, match="style_scale must lie in"):
        nstlib.onepass(content, style, style_scale=0)


def test_a_run_from_one_pass_starts_from_one_with_its_colours_and_balance(content, style):
    run = {"method": "bn", "iterations": 1}
    first = next(nstlib.transfer(content, style, "polish", colours="luminance", **run))
    there = nstlib.onepass(content, style, "bn", gamma_to_strength(1), colours="luminance")
    plain = nstlib.onepass(content, style, "bn", gamma_to_strength(1))
    light, near, far = (luminance(picture) for picture in (first.image, there, plain))
    assert 2 * (light - near).abs().mean() < (light - far).abs().mean()
    faint, firm = (next(nstlib.transfer(content, style, "polish", gamma=g, **run)).image for g in (0.02, 5))
    assert 1.5 * (faint - content).abs().mean() < (firm - content).abs().mean()


def test_what_is_prepared_once_serves_every_strength(content, style):
    ready = prepare(content, style, "gaussian", style_scale=1.5)
    for strength in (0.4, 1.0, 0.4):
        again = nstlib.onepass(content, style, "gaussian", strength, style_scale=1.5, palette=0.5)
        torch.testing.assert_close(ready(strength, palette=0.5), again, rtol=0, atol=0)
    with pytest.raises(ValueError, match="strength must lie in"):
        ready(1.1)


@pytest.mark.parametrize("method", ["bn", "poly"])
def test_a_second_round_leaves_less(photograph: Tensor, method: str) -> None:
    encoder, d = nstlib.load_encoder(), nstlib.method(method)
    strokes = nstlib.load_image("examples/styles/strokes.jpg", size=112)
    layers = encoder.style_layers[:4]
    S = encoder(strokes, layers)

    def left(picture: Tensor) -> float:
        F = encoder(picture, layers)
        return sum(float(d(F[layer], S[layer])) for layer in layers)

    one, two = (nstlib.onepass(photograph, strokes, method, rounds=n, encoder=encoder) for n in (1, 2))
    assert left(two) < 0.9 * left(one) and two.recipe["rounds"] == 2  # type: ignore[attr-defined]
    unchanged = nstlib.onepass(photograph, strokes, method, 0.0, rounds=2, encoder=encoder)
    torch.testing.assert_close(unchanged, photograph, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="rounds must be a whole number in 1"):
        nstlib.onepass(photograph, strokes, rounds=0)
