"""Statistics and gradients of an image from its tiles are those of the whole image."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

import nstlib
from nstlib.__main__ import main
from nstlib.encoders import IMAGE
from nstlib.encoders.encoder import Encoder
from nstlib.encoders.networks import build, torchvision_models
from nstlib.encoders.windows import reach, receptive_fields
from nstlib.feedforward import FeedForward
from nstlib.synthesis import tiles
from nstlib.synthesis.objective import Objective
from nstlib.synthesis.regions import build_objective, make_regions
from nstlib.synthesis.tiles import sweep

METHODS = (
    *("linear", "poly(c=3)", "bn", "gaussian", "wasserstein", "coral", "cmd", "laplace", "cubic"),
    "bn+gram:2",
)


def features(M: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, 4, M, generator=generator, dtype=dtype) ** 3 + 2


def add_up(parts: list[dict], shares: list[float]) -> dict:
    """Σ share · part, entry by entry, also where a fusion's entries are dictionaries."""
    return {
        key: add_up([part[key] for part in parts], shares)
        if isinstance(first, dict)
        else sum(share * part[key] for part, share in zip(parts, shares, strict=True))
        for key, first in parts[0].items()
    }


@pytest.mark.parametrize("name", METHODS)
def test_an_embedding_is_the_weighted_mean_of_its_parts(name: str) -> None:
    d, F, S = nstlib.method(name), features(60, 0), features(50, 1)
    weights = torch.rand(1, 60, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    summary, cuts = d.summary(S), [slice(0, 13), slice(13, 14), slice(14, 60)]
    assert d.additive
    for own in (None, weights):
        shares = [
            (c.stop - c.start) / 60 if own is None else float(own[:, c].sum() / own.sum()) for c in cuts
        ]
        parts = [d.embed(F[..., c], summary, None if own is None else own[:, c]) for c in cuts]
        whole = d.distance(F, summary, own)
        torch.testing.assert_close(d.compare(d.embed(F, summary, own), summary), whole)
        torch.testing.assert_close(d.compare(add_up(parts, shares), summary), whole)


@pytest.mark.parametrize("name", METHODS)
def test_float32_loses_nothing_far_from_the_origin(name: str) -> None:
    """Against float64: moments about the mean are compared, not small differences of large numbers."""
    d, F, S = nstlib.method(name), features(400, 0) + 30, features(300, 1) + 30
    exact, single = F.clone().requires_grad_(True), F.float().requires_grad_(True)
    (expected,) = torch.autograd.grad(d(exact, S).sum(), exact)
    (found,) = torch.autograd.grad(d(single, S.float()).sum(), single)
    assert float((found - expected).norm() / expected.norm()) < 2e-4


@pytest.mark.parametrize("name", ["sliced", "energy", "gaussian(estimator=paired)", "bn+sliced"])
def test_methods_that_need_all_positions_say_so(name: str) -> None:
    assert not nstlib.method(name).additive


def test_a_distance_of_ones_own_is_not_additive() -> None:
    class Median(nstlib.LinearMMD):
        def distance(self, F: Tensor, summary: dict[str, Tensor], weights: Tensor | None = None) -> Tensor:
            return (F.median(-1).values - summary["mean"]).square().sum(-1)

    assert not Median().additive


STYLE, CONTENT = "examples/styles/mosaic.jpg", "examples/contents/harbour.jpg"
SLIM = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


@pytest.fixture(scope="module")
def resnet() -> Encoder:
    """ResNet-50 with random weights of a scale that keeps its maps alive."""
    generator = torch.Generator().manual_seed(0)
    state = torchvision_models().resnet50().state_dict()
    for name, values in state.items():
        if values.dim() == 4:
            state[name] = torch.randn(values.shape, generator=generator) * (2 / values[0].numel()) ** 0.5
    return Encoder("resnet50", build("resnet50", state, "max"), "", torch.device("cpu"))


@pytest.mark.parametrize("size", [(150, 133), (64, 200), (40, 30), (17, 150), (16, 140)])
def test_features_of_windows_are_those_of_the_image(size: tuple[int, int], resnet: Encoder) -> None:
    """Odd sizes, sizes below a tile or below the margin, every border; each position exactly once."""
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    for encoder, layers in (
        (nstlib.load_encoder(), SLIM),
        (nstlib.load_encoder(), ("relu1_1",)),
        (nstlib.load_encoder(pooling="avg"), ("conv2_2", "relu4_2")),
        (resnet, ("relu1", "block2_3", "block3_4")),
    ):
        whole = encoder.maps(image, layers)
        segments = encoder.windows(size, layers, 48)
        assert [windows[0].end for windows in segments] == [
            *(windows[0].start for windows in segments[1:]),
            "",
        ]
        assert len(segments[0]) > 1 or max(size) < 72
        seen = {layer: torch.zeros_like(F[0, 0]) for layer, F in whole.items()}
        for window in segments[0]:
            assert torch.equal(
                window.cut(image)[(..., *window.inside[IMAGE])], image[(..., *window.positions[IMAGE])]
            )
        for window, layer, F in sweep(encoder, image, layers, 48):
            expected = whole[layer].flatten(2)
            seen[layer][window.positions[layer]] += 1
            torch.testing.assert_close(
                F, window.select(expected, layer), rtol=1e-4, atol=2e-5 * float(expected.abs().max())
            )
        assert all(bool((count == 1).all()) for count in seen.values())


class Flops(TorchDispatchMode):
    total = 0

    def __torch_dispatch__(self, f, types, args=(), kwargs=None):
        result = f(*args, **(kwargs or {}))
        if f.overloadpacket in flop_registry:
            self.total += flop_registry[f.overloadpacket](*args, **(kwargs or {}), out_val=result)
        return result


def test_a_step_in_tiles_costs_little_more_arithmetic() -> None:
    """Counted by torch: a forward pass of the first layers for all tiles but one, and little around each."""
    encoder, image = nstlib.load_encoder(), nstlib.load_image(CONTENT, 512)
    objective = build_objective(nstlib.Settings(palette=0), encoder, image, [image], tile=256)
    counts = []
    for tile in (None, 256):
        with Flops() as flops:
            gradient(objective, encoder, image, tile)
        counts.append(flops.total)
    assert counts[1] < 1.2 * counts[0]


def gradient(objective: Objective, encoder: Encoder, image: Tensor, tile: int | None) -> tuple[Tensor, dict]:
    x = image.clone().requires_grad_(True)
    terms = objective.compare(tiles.embed(objective, encoder, x, tile))
    return torch.autograd.grad(sum(terms.values()), x)[0], {k: v.item() for k, v in terms.items()}


def check(encoder: Encoder, size: tuple[int, int], styles: int = 1, masks: bool = False, **changes) -> None:
    """The objective from tiles, its terms and its gradient in tiles, against those of the whole images."""
    given = torch.Generator().manual_seed(3)
    content, other = nstlib.load_image(CONTENT, 200), nstlib.load_image(STYLE, 120)
    content = content[..., : size[0], : size[1]]
    paintings = [other, other.flip(1)[..., :100, :90]][:styles]
    ramp = torch.linspace(0, 1, size[1]).expand(1, 1, *size)
    places = ((ramp - 0.5).clamp(min=0), 1 - ramp) if masks else ()
    settings = nstlib.Settings(dtype="float32", **changes)
    objectives = [
        build_objective(
            settings, encoder, content, paintings, make_regions(settings, paintings, places), tile=t
        )
        for t in (None, 64)
    ]
    x = (content + 0.1 * torch.randn(content.shape, generator=given)).clamp(0, 1)
    (expected, terms), (found, own) = (
        gradient(o, encoder, x, t) for o, t in zip(objectives, (None, 64), strict=True)
    )
    assert own == pytest.approx(terms, rel=1e-4, abs=1e-7)
    assert float((found - expected).norm() / expected.norm()) < 1e-4  # calibrated by rounded gradients
    (same, _) = gradient(objectives[0], encoder, x, 64)  # of one objective
    assert float((same - expected).norm() / expected.norm()) < 1e-5


@pytest.mark.parametrize("method", METHODS)
def test_gradients_in_tiles_are_those_of_the_image(method: str) -> None:
    check(nstlib.load_encoder(), (71, 90), method=method)


@pytest.mark.parametrize(
    "changes",
    [
        {"tv": 3.0, "palette": 0.0},
        {"styles": 2, "style_weights": (0.3, 0.7), "method": "gram"},
        {"styles": 2, "masks": True, "method": "bn"},
        {"content_layers": ("relu3_1", "relu4_2"), "style_layers": ("conv1_2", "relu3_1")},
    ],
)
def test_terms_of_all_kinds_in_tiles(changes: dict) -> None:
    check(nstlib.load_encoder(), (71, 90), **changes)


def test_every_encoder_in_tiles(resnet: Encoder) -> None:
    check(nstlib.load_encoder("vgg19-random"), (24, 72), method="wasserstein")
    check(resnet, (71, 90), style_layers=("relu1", "block2_3", "block3_4"), content_layers=("block3_1",))


def test_a_method_that_needs_all_positions_refuses_tiles() -> None:
    with pytest.raises(ValueError, match="sliced compares all positions at once"):
        check(nstlib.load_encoder(), (100, 150), method="sliced")


def test_receptive_fields_follow_from_the_layers(resnet: Encoder) -> None:
    """relu5_1 of VGG-19 sees 156 px, as is well known; of any network a gradient shows how much."""
    assert reach(receptive_fields(nstlib.load_encoder().network, ["relu5_1"])["relu5_1"]) == (70, 85)
    image = torch.rand(1, 3, 8, 400, generator=torch.Generator().manual_seed(0), requires_grad=True)
    before, after = reach(receptive_fields(resnet.network, ["block3_4"])["block3_4"])
    positions = resnet.maps(image, ["block3_4"])["block3_4"]
    (slope,) = torch.autograd.grad(positions[0, :, 0, 25].abs().sum(), image)
    seen = slope.abs().sum((0, 1, 2)).nonzero().flatten()
    assert 25 * 8 - before <= seen.min() and seen.max() <= 25 * 8 + after
    assert seen.max() - seen.min() > 0.8 * (before + after)


def test_the_command_line_takes_the_contents_own_size(tmp_path: Path, capsys) -> None:
    photo, out = tmp_path / "photo.png", tmp_path / "out.png"
    nstlib.save_image(nstlib.load_image(CONTENT, 90), photo)
    command = [
        "transfer",
        str(photo),
        STYLE,
        "-o",
        str(out),
        "--size",
        "full",
        "--iterations",
        "2",
        "--quiet",
    ]
    assert main(command) == 0
    assert nstlib.load_image(out).shape == nstlib.load_image(photo).shape
    assert nstlib.read_recipe(out)["settings"]["size"] == 90
    assert main([*command, "--memory", "lots"]) == 2
    assert "memory must be 'auto' or a number of bytes" in capsys.readouterr().err


def test_the_time_left_counts_pixels() -> None:
    image = nstlib.load_image(CONTENT, 180)
    steps = list(nstlib.transfer(image, image, iterations=10, levels=2, palette=0.0))
    shares = [step.remaining / step.seconds for step in steps]
    assert shares == sorted(shares, reverse=True) and shares[-1] == 0
    assert shares[2] == pytest.approx((3 / 4 + 7) / (3 / 4) - 1)  # 3 of 10 steps at a quarter of the pixels


def test_steps_that_a_converged_size_left_out_count_as_done() -> None:
    images = nstlib.load_image(CONTENT, 180), nstlib.load_image(STYLE, 180)
    steps = list(nstlib.transfer(*images, iterations=40, levels=2, tolerance=0.9, palette=0.0))
    assert len(steps) < 40
    first = next(step for step in steps if step.index == 13)  # at full size, after 12 at a quarter of it
    assert first.remaining / first.seconds == pytest.approx((12 / 4 + 28) / (12 / 4 + 1) - 1)


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("linear", {}),
        ("bn", {"strength": 0.6, "detail": 0.5}),
        ("poly(c=1)", {"styles": 2, "style_weights": (0.3, 0.7)}),
        ("wasserstein", {"size": (113, 150)}),
        ("coral:2+gaussian", {}),
        ("poly", {"styles": 2, "masks": True}),
        ("gaussian", {"styles": 2, "masks": True}),
        ("wasserstein", {"size": (17, 150)}),
    ],
)
def test_one_pass_in_tiles_is_that_of_the_image(method: str, changes: dict) -> None:
    """Odd sizes, masks, styles larger than a tile; tiles smaller than what they see around them."""
    changes = dict(changes)
    height, width = changes.pop("size", (101, 96))
    encoder = nstlib.load_encoder(dtype="float32")
    content, other = nstlib.load_image(CONTENT, 240), nstlib.load_image(STYLE, 150)
    content = content[..., :height, :width]
    paintings = [other, other.flip(1)[..., :70, :140]][: changes.pop("styles", 1)]
    ramp = torch.linspace(0, 1, width).expand(1, 1, height, width)
    masks = ((ramp - 0.5).clamp(min=0), (0.8 - ramp).clamp(min=0)) if changes.pop("masks", False) else ()
    found = {}
    for tile in (None, 64):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("nstlib.feedforward.prepared.choose_tile", lambda *_, tile=tile: tile)
            found[tile] = nstlib.onepass(
                content, paintings, method, palette=0, masks=masks, encoder=encoder, **changes
            )
    assert found[64].recipe["tile"] == 64 and float((found[None] - content).abs().mean()) > 0.02
    # with fewer positions than channels the maps enlarge the rounding of both
    bound = 1e-3 if masks or height < 100 or "gaussian" in method else 1e-4
    torch.testing.assert_close(found[64], found[None], rtol=0, atol=bound)
    assert float((found[64] - found[None]).abs().mean()) < 3e-5


@pytest.mark.parametrize(
    ("plan", "size"),
    [
        ("light", (99, 70)),
        ("light", (40, 140)),
        ("sharp", (99, 70)),
        ("sharp", (40, 140)),
        ("full", (20, 140)),
    ],
)
def test_a_network_in_tiles_gives_the_same_image(plan: str, size: tuple[int, int]) -> None:
    """Odd sizes and every border, with norms whose weights are not those of the start. `full` is `light` with
    more channels and larger kernels: a strip wider than a tile and what it sees shows that they fit."""
    generator = torch.Generator().manual_seed(4)
    network = FeedForward(plan).eval().requires_grad_(False).double()  # random weights enlarge rounding
    for weight in network.parameters():
        weight += 0.1 * torch.randn(weight.shape, generator=generator, dtype=torch.float64)
    images = nstlib.load_image(CONTENT, 220)[..., : size[0], : size[1]]
    if (plan, size) == ("light", (40, 140)):  # the loop over a batch and the blend see neither
        images = torch.cat([images, images.flip(3)])
    whole = network(images)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FeedForward, "check_memory", lambda *_: 64)
        torch.testing.assert_close(network(images), whole, rtol=0, atol=1e-9)
        if len(images) > 1:
            torch.testing.assert_close(network(images, 0.0), images.double())


def test_the_command_line_works_within_a_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass and a network, from a file: in tiles where the whole image would need more."""
    photo, images = tmp_path / "photo.png", {}
    nstlib.save_image(nstlib.load_image(CONTENT, 280), photo)
    monkeypatch.setenv("NSTLIB_DTYPE", "float32")
    for module in ("memory", "networks"):
        monkeypatch.setattr(f"nstlib.feedforward.{module}.TILES", (64,))
    monkeypatch.setattr("nstlib.feedforward.memory.HALO", 100)  # the estimate is for much larger tiles
    for command in (
        ["onepass", str(photo), STYLE, "--size", "full", "--method", "bn", "--palette", "0"],
        ["apply", "mosaic-gaussian", str(photo)],
    ):
        for budget in ("9GB", "315MB"):
            out = tmp_path / f"{command[0]} {budget}.png"
            assert main([*command, "-o", str(out), "--memory", budget]) == 0
            images[command[0], budget] = nstlib.load_image(out)
    for name in ("onepass", "apply"):
        difference = (images[name, "9GB"] - images[name, "315MB"]).abs()
        assert float(difference.max()) < 0.01  # files have 8 bits
    assert nstlib.read_recipe(tmp_path / "onepass 315MB.png")["tile"] == 64
