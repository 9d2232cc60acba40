"""What makes runs fast and small must not change what they compute. Times are in benchmarks/, not here."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import nstlib
from nstlib.__main__ import main
from nstlib.alignment import moments
from nstlib.alignment.random_features import MeanCosine
from nstlib.encoders import precision
from nstlib.encoders.encoder import Encoder
from nstlib.feedforward.memory import choose_tile, estimate_pass
from nstlib.recipes import final_step
from nstlib.synthesis import memory, pixels
from nstlib.synthesis.optimize import synthesize
from nstlib.synthesis.pyramid import schedule, upsample_change
from nstlib.synthesis.regions import build_objective

LAYERS = ("relu1_1", "conv2_2", "relu3_1", "relu4_2", "relu5_1")


@pytest.fixture
def image() -> Tensor:
    return nstlib.load_image("examples/contents/harbour.jpg", size=96)


def plain(encoder: Encoder, image: Tensor, layers: tuple[str, ...] = LAYERS) -> dict[str, Tensor]:
    """The same features with nothing but modules, slices and autograd."""
    network, padding = encoder.network, encoder.network.padding
    x = (image - network.mean.view(3, 1, 1)) / network.std.view(3, 1, 1)
    x = nn.functional.pad(x, [padding] * 4, mode="reflect") if padding else x
    found = {}
    for name, stage in network.stages.items():
        x = torch.relu(x) if isinstance(stage, nn.ReLU) else stage(x)
        border = padding // network.strides[name]
        if name in layers:
            found[name] = x[..., border : x.shape[2] - border, border : x.shape[3] - border].flatten(2)
    return found


@pytest.mark.parametrize("name", ["vgg19-slim", "vgg19-random"])
@pytest.mark.parametrize("layers", [LAYERS, ("conv1_2", "relu3_4", "relu4_1"), ("relu1_2", "relu2_1")])
def test_features_and_gradients_are_those_of_plain_modules(
    name: str, layers: tuple[str, ...], image: Tensor
) -> None:
    encoder = nstlib.load_encoder(name)
    gradients = []
    for encode in (lambda x: encoder(x, layers), lambda x: plain(encoder, x, layers)):
        x = image.clone().requires_grad_(True)
        F = encode(x)
        loss = torch.stack([(F[layer].square().mean() * 10**i) for i, layer in enumerate(layers)]).sum()
        gradients.append((*(F[layer].detach() for layer in layers), *torch.autograd.grad(loss, x)))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


shapes = st.tuples(st.integers(1, 2), st.integers(1, 5), st.integers(1, 9))


@settings(max_examples=25, deadline=None)
@given(shapes, st.integers(0, 2**20), st.booleans())
def test_moments_and_their_gradients(shape: tuple[int, int, int], seed: int, columns: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    F = torch.randn(shape, generator=generator, dtype=torch.float64)
    if columns:  # an encoder's order in memory
        F = F.mT.contiguous().mT
    F.requires_grad_(True)
    variance, mean = moments.variance_mean(F)
    torch.testing.assert_close(variance, F.var(-1, correction=0))
    torch.testing.assert_close(mean, F.mean(-1))
    torch.testing.assert_close(moments.gram(F), torch.einsum("bim,bjm->bij", F, F) / shape[-1])
    for function in (moments.mean, moments.variance_mean, moments.gram):
        assert torch.autograd.gradcheck(function, F)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 2), st.integers(1, 20), st.integers(1, 40), st.integers(1, 20), st.booleans())
def test_products_over_positions(B: int, N: int, M: int, D: int, columns: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    A, F = torch.randn(D, N, generator=generator), torch.randn(B, N, M, generator=generator)
    if columns:
        F = F.mT.contiguous().mT
    exact = torch.einsum("dn,bnm->bdm", A.double(), F.double()).float()
    torch.testing.assert_close(moments.product(A, F), exact, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(moments.product(A.expand(B, D, N), F), exact, rtol=1e-4, atol=1e-4)
    exact = torch.einsum("bim,bjm->bij", F.double(), F.double()).float()
    torch.testing.assert_close(moments.outer(F), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not moments.ONEDNN, reason="needs oneDNN")
def test_an_encoders_features_take_the_fast_way(image: Tensor) -> None:
    F = nstlib.load_encoder()(image, ["relu2_1"])["relu2_1"]
    assert moments._convolves(F) and moments._convolves(F[..., 5:90])
    assert moments._convolves(moments.product(torch.rand(7, F.shape[1]), F))
    assert not moments._convolves(F.contiguous())


def test_a_gradient_that_is_the_same_everywhere_is_added_like_any_other(image: Tensor) -> None:
    encoder = nstlib.load_encoder(dtype="bfloat16")
    x = image.clone().requires_grad_(True)
    for layer in ("relu1_1", "relu4_2"):
        F = encoder(x, ["relu1_1", "relu4_2"])
        weights = torch.linspace(-1, 1, F[layer].shape[1])[:, None]
        gradients = [
            torch.autograd.grad(F["relu4_2"].square().sum() + g, x, retain_graph=True)[0]
            for g in ((weights * F[layer].sum(-1, keepdim=True)).sum(), (weights * F[layer]).sum())
        ]
        torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("block", [1, 7, 10**6])
def test_cosines_block_by_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MeanCosine, "BLOCK", block)
    generator = torch.Generator().manual_seed(0)
    F = torch.randn(2, 3, 11, generator=generator, dtype=torch.float64, requires_grad=True)
    W, u = (
        torch.randn(2, 4, 3, generator=generator).double(),
        torch.rand(2, 4, 1, generator=generator).double(),
    )
    expected = [[torch.cos(W[b, d] @ F[b] + u[b, d]).mean().item() for d in range(4)] for b in range(2)]
    torch.testing.assert_close(MeanCosine.apply(F, W, u), torch.tensor(expected, dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda F: MeanCosine.apply(F, W, u), F)


def test_a_run_in_tiles_gives_the_same_image(image: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"iterations": 6, "levels": 2, "method": "wasserstein", "dtype": "float32"}
    whole = nstlib.stylize(image, image.flip(-1), **options)
    monkeypatch.setattr(memory, "PLANS", (memory.Plan(48),))
    tiled = nstlib.stylize(image, image.flip(-1), memory="small", **options)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=2e-2)  # six steps let rounding grow
    assert (whole.recipe["tile"], tiled.recipe["tile"]) == (None, 48)
    assert tiled.recipe["settings"]["memory"] == "auto"  # what earlier versions called small


def test_a_short_history_of_few_digits_ends_at_nearly_as_good_a_loss(image: Tensor) -> None:
    style, losses = nstlib.load_image("examples/styles/strokes.jpg", size=96), []
    encoder = nstlib.load_encoder()
    objective = build_objective(nstlib.Settings(method="wasserstein"), encoder, image, (style,))
    for history in ((8, None), (8, torch.bfloat16), (3, torch.bfloat16)):
        steps = synthesize(
            image,
            lambda x: objective(x, pixels.encode(encoder, x, objective.layers)),
            iterations=25,
            preconditioner=pixels.blur_preconditioner,
            history=history,
        )
        losses.append([step.loss for step in steps][-1])
    assert losses[1] < 1.03 * losses[0] and losses[2] < 1.1 * losses[0], losses


def test_bfloat16_ends_at_as_good_a_loss(image: Tensor) -> None:
    """Pictures made in bfloat16 and in float32, both judged in float32, by the objective of the run."""
    style, judge = nstlib.load_image("examples/styles/strokes.jpg", size=96), nstlib.load_encoder()
    for method in ("linear", "gram"):
        losses = []
        for dtype in ("float32", "bfloat16"):
            encoder = nstlib.load_encoder(dtype=dtype)
            assert encoder(image, LAYERS)["relu1_1"].dtype == torch.float32
            made = final_step(
                nstlib.transfer(image, style, method=method, iterations=32, encoder=encoder)
            ).image
            losses.append(judged(judge, image, style, made, method))
        assert math.isfinite(losses[0]) and losses[1] < 1.03 * losses[0], (method, losses)


def judged(encoder: Encoder, content: Tensor, style: Tensor, made: Tensor, method: str) -> float:
    objective = build_objective(nstlib.Settings(method=method), encoder, content, (style,))
    with torch.no_grad():
        return float(sum(objective(made, pixels.encode(encoder, made, objective.layers)).values()))


@pytest.mark.parametrize(
    ("capabilities", "chosen"),
    [
        ({"avx512_f": True, "avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"avx512_f": True, "avx512_bf16": False}, "float32"),
        ({"neon": True, "bf16": True}, "float32"),
        ({}, "float32"),
    ],
)
def test_dtype_follows_from_the_processor(
    capabilities: dict[str, bool], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NSTLIB_DTYPE", raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert precision.choose(torch.device("cpu")) == chosen
    assert precision.choose(torch.device("mps")) == "float32"
    assert nstlib.load_encoder(dtype="auto", device="cpu").dtype_name == chosen
    monkeypatch.delattr(torch.cpu, "get_capabilities")  # an older torch
    assert precision.choose(torch.device("cpu")) == "float32"


@pytest.mark.parametrize(("capability", "chosen"), [((7, 5), "float32"), ((8, 0), "bfloat16")])
def test_dtype_follows_from_the_graphics_card(
    capability: tuple[int, int], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NSTLIB_DTYPE", raising=False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert precision.choose(torch.device("cuda")) == chosen


def test_dtype_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NSTLIB_DTYPE", "bfloat16")
    assert nstlib.load_encoder(dtype="auto").dtype == torch.bfloat16
    assert nstlib.load_encoder().dtype == torch.float32, "only where 'auto' is asked for"
    monkeypatch.setenv("NSTLIB_DTYPE", "half")
    with pytest.raises(ValueError, match="NSTLIB_DTYPE must be one of auto, float32, bfloat16"):
        nstlib.load_encoder(dtype="auto")
    with pytest.raises(ValueError, match="dtype must be one of"):
        nstlib.load_encoder(dtype="float16")  # type: ignore[arg-type]


def test_the_recipe_names_the_dtype_used(image: Tensor) -> None:
    step = next(nstlib.transfer(image, image, iterations=1, dtype="bfloat16"))
    assert step.image.recipe["settings"]["dtype"] == "bfloat16"


def test_memory_grows_at_most_with_pixels() -> None:
    encoder = nstlib.load_encoder()
    for method in ("linear", "gram", "gaussian", "bn"):
        chosen = nstlib.Settings(method=method)
        sizes = [memory.estimate(chosen, encoder, (n, n), (n, n)) for n in (256, 512, 1024)]
        assert sizes == sorted(sizes) and sizes[2] < 4.3 * sizes[1]
        needs = [memory.estimate(chosen, encoder, (2048, 2048), (64, 64), plan) for plan in memory.PLANS]
        assert needs[0] == max(needs) and needs[-1] == min(needs) < needs[0] / 3


def test_a_run_settles_for_less_memory_or_refuses(
    image: Tensor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path
) -> None:
    encoder, shape, plain = nstlib.load_encoder(), (1024, 1024), nstlib.Settings()

    def chosen(available: float | None, method: str = "linear") -> memory.Plan:
        settings = nstlib.Settings(method=method)
        return memory.choose_plan(settings, encoder, shape, shape, available)

    whole, least = (
        memory.estimate(plain, encoder, shape, shape, plan) for plan in memory.PLANS[:: len(memory.PLANS) - 1]
    )
    assert chosen(None) == chosen(whole) == memory.WHOLE
    assert chosen(0.99 * whole).tile == 512 and chosen(0.99 * whole).history == memory.WHOLE.history
    assert chosen(least) == memory.PLANS[-1]
    with pytest.raises(
        MemoryError, match="1024 x 1024 px with vgg19-slim needs about .* size (960|992) would"
    ):
        chosen(0.98 * least)
    with pytest.raises(MemoryError, match="vgg19-slim and sliced, which cannot run in tiles, needs about"):
        chosen(0.5 * whole, "bn+sliced")
    monkeypatch.setattr("nstlib.synthesis.memory.free_memory", lambda _: 4e9)
    assert memory.budget(plain.memory, encoder.device) == 3e9
    assert memory.budget("2.5 GB", encoder.device) == 2.5e9
    for wrong in ("2", "GB", "0GB", "much"):
        with pytest.raises(ValueError, match="memory must be 'auto' or a number of bytes, such as 2GB"):
            nstlib.Settings(memory=wrong)
    assert nstlib.Settings(memory="small").memory == "auto"  # of earlier versions
    monkeypatch.setattr("nstlib.synthesis.memory.free_memory", lambda _: 1e6)
    with pytest.raises(MemoryError, match="close other programs"):
        nstlib.transfer(image, image)
    picture = "examples/contents/harbour.jpg"
    assert main(["transfer", picture, picture, "-o", str(tmp_path / "x.png"), "--size", "64"]) == 1
    assert "MB are free; close other programs\n" in capsys.readouterr().err


def test_one_pass_and_a_network_refuse_what_would_not_fit(
    image: Tensor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With the same words as a run, before any work; what they propose fits."""
    encoder, network = nstlib.load_encoder(), nstlib.load_feedforward("strokes-gram")
    huge = torch.zeros(1, 3, 1, 1).expand(1, 3, 4000, 3000)
    monkeypatch.setattr("nstlib.synthesis.memory.free_memory", lambda _: 6e8)

    def check_pass(content: tuple[int, int], style: tuple[int, int], method: str = "poly") -> None:
        choose_tile(nstlib.Settings(method=method), encoder, content, style, 1, 0)

    for check, who in (
        (lambda x: check_pass(x, (512, 512)), "one pass"),
        (lambda x: check_pass((64, 64), x), "one pass"),
        (lambda x: check_pass(x, (64, 64), "energy"), "one pass by energy, which cannot run in tiles,"),
        (network.check_memory, "the network"),
    ):
        with pytest.raises(
            MemoryError, match=f"with {who} needs about .*B of memory and 600 MB are free; size "
        ) as error:
            check((4000, 3000))
        fitting = int(str(error.value).partition("size ")[2].split()[0])
        assert 300 < fitting < 4000
        check((fitting, fitting * 3 // 4))
    least, *more = (
        estimate_pass(nstlib.Settings(method=method), encoder, (999, 999), style, styles, masks)
        for method, style, styles, masks in (
            ("bn+gaussian", (99, 99), 1, 0),
            ("bn+sliced", (99, 99), 1, 0),
            ("bn", (2999, 2999), 1, 0),
            ("bn", (999, 999), 5, 0),
            ("bn", (99, 99), 2, 2),
        )
    )
    assert all(1.1 * least < estimate for estimate in more)
    small, large = (nstlib.Settings(style_scale=scale) for scale in (0.5, 4))
    assert 4 * memory.estimate(small, encoder, (64, 64), (999, 999)) < memory.estimate(
        large, encoder, (64, 64), (999, 999)
    )
    with pytest.raises(MemoryError, match="3000 x 4000 px with the network"):
        network(huge)
    with pytest.raises(MemoryError, match="3000 x 4000 px with one pass"):
        nstlib.onepass(huge, image)
    monkeypatch.setattr("nstlib.synthesis.memory.free_memory", lambda _: 1e6)
    photo, out = "examples/contents/harbour.jpg", str(tmp_path / "x.png")
    for command in (["onepass", photo, photo, "--size", "64"], ["apply", "strokes-gram", photo]):
        assert main([*command, "-o", out]) == 1
        error = capsys.readouterr().err
        assert "1 MB are free; close other programs" in error and len(error.splitlines()) == 1
    (tmp_path / "in").mkdir()
    nstlib.save_image(image[..., :32, :32], tmp_path / "in" / "a.png")
    assert main(["apply", "strokes-gram", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--quiet"]) == 1
    assert "left out a.png: 32 x 32 px with the network" in capsys.readouterr().err


def test_free_memory_is_plausible() -> None:
    free = memory.free_memory(torch.device("cpu"))
    assert free is None or 1e8 < free < 1e14


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 500), st.integers(1, 6), st.integers(16, 4000))
def test_every_step_has_its_size(iterations: int, levels: int, side: int) -> None:
    steps = schedule(nstlib.Settings(iterations=iterations, levels=levels), side)
    assert sum(n for _, n in steps) == iterations and steps[-1][0] == 1 and min(n for _, n in steps) > 0
    assert len(steps) <= levels + 2 * (levels > 1 and side > 1024) and (
        len(steps) == 1 or steps[0][0] * side >= 64
    )
    assert 3 * steps[-1][1] >= 2 * iterations


def test_going_up_a_size_keeps_the_photographs_detail(image: Tensor) -> None:
    small = nn.functional.interpolate(image, (36, 48), mode="area")
    torch.testing.assert_close(upsample_change(small, small, image), image)
    changed = upsample_change(small * 0.5 + 0.1, small * 0.5, image * 0.5)
    torch.testing.assert_close(changed, image * 0.5 + 0.1)
    assert upsample_change(small, None, image).shape == image.shape
