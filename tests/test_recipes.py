"""Whole runs on small images: what a user asks for is what comes out."""

import copy
import dataclasses
import gc
import math
import pickle
import warnings

import pytest
import torch
from torch import Tensor

import nstlib
from nstlib import PRESETS, Settings
from nstlib.recipes import final_step
from nstlib.synthesis import run
from nstlib.synthesis.objective import Objective, calibrate
from nstlib.synthesis.pyramid import schedule
from nstlib.synthesis.terms import ContentTerm, StyleTerm, style_terms

QUICK = {"iterations": 5, "levels": 1}


def errors(step: nstlib.Step) -> tuple[float, float]:
    """(content, style) parts of the loss."""
    content = sum(value for name, value in step.terms.items() if name.startswith("content"))
    return content, sum(value for name, value in step.terms.items() if name.startswith("style"))


@pytest.mark.parametrize("method", ["linear", "poly", "gaussian", "bn", "bn:0.5+poly(c=1):0.5"])
def test_every_method_lowers_its_loss_and_moves_the_picture(
    method: str, content: Tensor, style: Tensor
) -> None:
    steps = list(nstlib.transfer(content, style, method=method, iterations=15, levels=1))
    assert [s.index for s in steps] == list(range(1, 16)) and steps[-1].total == 15
    assert steps[-1].loss < 0.5 * steps[0].loss
    assert errors(steps[0])[0] == pytest.approx(0, abs=1e-9)  # the start is the photograph
    assert (steps[-1].image - content).abs().mean() > 0.02
    own = {name for name in steps[0].terms if not name.startswith("palette/")}
    assert own == {"content/relu4_2", *(f"style/relu{block}_1" for block in range(1, 6))}
    for step in steps:
        assert step.image.shape == content.shape
        assert 0 <= step.image.min() <= step.image.max() <= 1


@pytest.mark.parametrize("palette", [0, 1])
def test_a_step_makes_its_image_when_it_is_asked_for(
    palette: float, content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, if at all; late as at once, whatever was done to another step's."""
    asked = []
    finished = run.finish_image
    monkeypatch.setattr(run, "finish_image", lambda *arguments: asked.append(1) or finished(*arguments))
    options = {"iterations": 6, "levels": 2, "palette": palette}
    at_once = [step.image.clone() for step in nstlib.transfer(content, style, **options)]
    steps = list(nstlib.transfer(content, style, **options))
    assert len(asked) == 6
    assert steps[3].image is steps[3].image and len(asked) == 7
    steps[3].image.zero_()
    for k in (5, 4, 0):
        assert torch.equal(steps[k].image, at_once[k])


def test_the_input_images_are_gone_at_full_size(content: Tensor, style: Tensor) -> None:
    """Large images are memory: the objective holds what a run needs of them."""
    steps = nstlib.transfer(content.clone(), style.clone(), iterations=6, memory="100GB")
    for step in steps:
        if step.index == 5:
            break
    gc.collect()
    tensors = [t for t in gc.get_objects() if type(t) is Tensor and t.dtype == torch.float32]
    for image in (content, style):
        same = [t for t in tensors if t.shape == image.shape and torch.equal(t, image)]
        assert {t.data_ptr() for t in same} <= {image.data_ptr()}


def test_one_seed_one_image(content: Tensor, style: Tensor) -> None:
    for method in ("gaussian", "gaussian(estimator=paired)"):
        options = QUICK | {"method": method, "start": "random"}
        first, again = (nstlib.stylize(content, style, **options, seed=7) for _ in range(2))
        assert torch.equal(first, again)
        assert not torch.equal(first, nstlib.stylize(content, style, **options, seed=8))
    shared = nstlib.GaussianMMD(estimator="paired")  # an object used twice must not carry its draws over
    first, again = (nstlib.stylize(content, style, method=shared, **QUICK) for _ in range(2))
    assert torch.equal(first, again)


def test_no_global_random_numbers_are_used(content: Tensor, style: Tensor) -> None:
    state = torch.random.get_rng_state()
    nstlib.stylize(content, style, method="gaussian(estimator=paired)", start="random", **QUICK)
    nstlib.load_encoder("vgg19-random")
    assert torch.equal(state, torch.random.get_rng_state())


def test_larger_gamma_means_more_style(content: Tensor, style: Tensor) -> None:
    for method in ("linear", "poly", "gaussian", "bn"):
        found = []
        for gamma in (0.2, 2.0, 20.0):
            step = final_step(
                nstlib.transfer(content, style, method=method, gamma=gamma, iterations=20, levels=1)
            )
            found.append((errors(step)[0], errors(step)[1] / gamma))
        assert found[0][0] < found[1][0] < found[2][0], (method, found)
        assert found[0][1] > found[1][1] > found[2][1], (method, found)


def test_coarse_to_fine_yields_full_size_and_every_index(style: Tensor) -> None:
    content = nstlib.load_image("examples/contents/valley.jpg", size=171)  # odd on purpose: 171 x 128
    steps = list(
        nstlib.transfer(content, nstlib.load_image("examples/styles/grid.jpg", 256), iterations=7, levels=2)
    )
    assert [s.index for s in steps] == [1, 2, 3, 4, 5, 6, 7]
    assert {s.image.shape for s in steps} == {content.shape}
    coarse, fine = steps[0].image.diff(dim=-1).abs().mean(), steps[-1].image.diff(dim=-1).abs().mean()
    assert coarse < fine  # the first steps are enlarged small pictures


def test_levels_stop_at_the_coarsest_size(
    content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = schedule(Settings(levels=6), 300)
    assert [scale for scale, _ in sizes] == [0.25, 0.5, 1.0]  # 300 px allow 150 and 75
    assert sum(steps for _, steps in sizes) == Settings().iterations
    assert schedule(Settings(levels=6), 127) == [(1.0, 80)]
    assert [n for _, n in schedule(PRESETS["draft"], 200)] == [7, 17]
    assert [n for _, n in schedule(PRESETS["draft"], 288)] == [4, 4, 16]  # with 3, eyes were wrong
    sides = []
    monkeypatch.setattr(run, "schedule", lambda _, side: sides.append(side) or [(1.0, 1)])
    for scale in (0.5, 2.0):
        next(nstlib.transfer(content, style, style_scale=scale, palette=0))
    assert sides == [min(style.shape[2:]) // 2, min(content.shape[2:])]


@pytest.mark.parametrize("layer", [1, 3, 5])
def test_style_reconstruction_uses_the_first_layers_and_no_content(layer: int, style: Tensor) -> None:
    steps = list(nstlib.reconstruct_style(style, layer=layer, method="bn", iterations=20))
    assert set(steps[-1].terms) == {f"style/relu{block}_1" for block in range(1, layer + 1)}
    assert steps[-1].image.shape == style.shape
    assert steps[-1].loss < 0.2 * steps[0].loss


def test_content_reconstruction_returns_to_the_picture(content: Tensor) -> None:
    near = final_step(nstlib.reconstruct_content(content, "relu1_1", iterations=200, levels=1))
    far = final_step(nstlib.reconstruct_content(content, "relu4_2", iterations=60, levels=1))
    assert set(near.terms) == {"content/relu1_1"}
    assert (near.image - content).abs().mean() < 0.03
    assert (near.image - content).abs().mean() < (far.image - content).abs().mean()


def test_every_image_carries_a_recipe_that_makes_it_again(content: Tensor, style: Tensor, tmp_path) -> None:
    image = nstlib.stylize(content, style, method="bn:0.7+poly(c=2):0.3", gamma=3.0, seed=4, **QUICK)
    recipe = nstlib.read_recipe(nstlib.save_image(image, tmp_path / "a.png"))
    settings = Settings.from_dict(recipe["settings"])
    assert settings.gamma == 3.0 and settings.seed == 4
    assert recipe["weights_sha256"] == nstlib.load_encoder().weights_hash
    assert recipe["versions"]["nstlib"] == nstlib.__version__
    assert torch.equal(nstlib.stylize(content, style, settings), image)


def test_unequal_sizes_and_odd_shapes(style: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    for shape in ((17, 16), (33, 90), (61, 47)):
        picture = torch.rand(1, 3, *shape, generator=generator)
        image = nstlib.stylize(picture, style, iterations=4)
        assert image.shape == picture.shape and torch.isfinite(image).all()


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_blank_and_identical_pictures_stay_finite(value: float, content: Tensor) -> None:
    blank, content = torch.full((1, 3, 48, 48), value), content[..., :56, :48]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method in ("linear", "poly", "gaussian", "bn"):
            for pair in ((blank, content), (content, blank), (blank, blank)):
                assert torch.isfinite(nstlib.stylize(*pair, method=method, **QUICK)).all()


def test_a_style_equal_to_the_content_changes_little(content: Tensor) -> None:
    image = nstlib.stylize(content, content, method="poly", iterations=30, levels=1)
    assert (image - content).abs().mean() < 0.03


def total_variation(image: Tensor) -> Tensor:
    return image.diff(dim=-1).square().mean() + image.diff(dim=-2).square().mean()


def test_adam_and_total_variation(content: Tensor, style: Tensor) -> None:
    plain, smooth = (
        final_step(nstlib.transfer(content, style, optimizer="adam", iterations=25, levels=1, tv=tv))
        for tv in (0, 300.0)
    )
    assert total_variation(smooth.image) < 0.8 * total_variation(plain.image)
    assert "tv" in smooth.terms and "tv" not in plain.terms


def test_layer_choice_and_weights(content: Tensor, style: Tensor) -> None:
    options = {
        "style_layers": ("conv1_1", "conv2_1"),
        "layer_weights": (3.0, 1.0),
        "content_layers": ("relu3_1",),
    }
    step = final_step(nstlib.transfer(content, style, palette=0, **options, **QUICK))
    assert set(step.terms) == {"content/relu3_1", "style/conv1_1", "style/conv2_1"}


def test_layer_weights_alone_are_of_the_encoders_own_layers(content: Tensor, style: Tensor) -> None:
    weights = (1.0, 0.0, 0.0, 2.0, 0.0)
    step = next(nstlib.transfer(content, style, layer_weights=weights, palette=0, **QUICK))
    assert set(step.terms) == {"content/relu4_2", "style/relu1_1", "style/relu4_1"}
    with pytest.raises(ValueError, match="one weight for each style layer.*relu5_1.*2 for 5"):
        nstlib.transfer(content, style, layer_weights=(1.0, 2.0))


def test_a_step_can_be_pickled_and_copied_whatever_its_run_holds(content: Tensor, style: Tensor) -> None:
    calls: list[int] = []
    step = next(nstlib.transfer(content, style, check_cancel=lambda: calls.append(1), **QUICK))
    assert calls
    for again in (pickle.loads(pickle.dumps(step)), copy.deepcopy(step)):
        assert torch.equal(again.image, step.image) and again.image.recipe == step.image.recipe
        assert torch.equal(again.picture(), step.image) and again.terms == step.terms
    assert len(pickle.dumps(step)) < 2 * content.nbytes + 20_000  # neither encoder nor styles


def test_mistakes_are_named_before_any_work(content: Tensor, style: Tensor) -> None:
    for options, message in [
        ({"method": "magic"}, "unknown method 'magic'"),
        ({"gamma": -1}, "gamma must lie in"),
        ({"iterations": 0}, "iterations must lie in"),
        ({"iterations": 10**400}, "iterations must lie in 1 … 100000, got 1000"),
        ({"iterations": 0.0}, "iterations must lie in 1 … 100000, got 0"),
        ({"iterations": 2.5}, "iterations must be a whole number"),
        ({"optimizer": "sgd"}, "optimizer must be one of lbfgs, adam"),
        ({"style_layers": ("relu9_1",)}, "has no layer relu9_1"),
        ({"style_layers": ("relu1_1",), "layer_weights": (1.0, 2.0)}, "one weight for each"),
        ({"settings": "best"}, "unknown preset 'best'; presets are balanced"),
        ({"settings": "daft"}, r"unknown preset 'daft' \(did you mean draft\?\)"),
        ({"encoder": "alexnet"}, "unknown encoder"),
    ]:
        with pytest.raises(ValueError, match=message):
            nstlib.transfer(content, style, **options)
    with pytest.raises(TypeError, match=r"no such setting: gama \(did you mean gamma\?\)$"):
        nstlib.transfer(content, style, gama=2.0)
    with pytest.raises(TypeError, match="no such setting: zoom; settings are method, gamma"):
        nstlib.transfer(content, style, zoom=2.0)
    with pytest.raises(TypeError, match="no such setting: preset; a preset is the third argument"):
        nstlib.stylize(content, style, preset="draft")
    with pytest.raises(ValueError, match=r"style must be an image \(1, 3, H, W\)"):
        nstlib.transfer(content, style[0])
    with pytest.raises(ValueError, match="content must hold finite"):
        nstlib.transfer(content * float("nan"), style)
    with pytest.raises(ValueError, match="layer must lie in 1 … 5"):
        nstlib.reconstruct_style(style, layer=6)


def test_a_size_that_has_no_effect_gives_a_warning(content: Tensor, style: Tensor) -> None:
    """Images are tensors here, which have their size; presets and settings have one, too."""
    for call in (
        lambda **size: nstlib.transfer(content, style, **size),
        lambda **size: nstlib.reconstruct_content(content, **size),
        lambda **size: nstlib.reconstruct_style(content, **size),
        lambda **size: nstlib.stylize(content, style, iterations=1, **size),
    ):
        with pytest.warns(
            UserWarning, match=r"size=64 has no effect .* keeps its 96 px; load it at this size"
        ):
            call(size=64)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            call(size=96)
            call()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nstlib.transfer(content, style, Settings(size=64))


def test_presets_are_valid_and_named_after_their_sources() -> None:
    assert {"balanced", "draft", "fine", "polish", "paper", "gatys", "tutorial"} == set(PRESETS)
    assert PRESETS["paper"].tolerance == 0.005 and PRESETS["paper"].iterations == 1000
    assert PRESETS["paper"].start == "random" and PRESETS["paper"].encoder == "vgg19"
    for settings in PRESETS.values():
        assert Settings.from_dict(settings.as_dict()) == settings


def test_settings_are_read_from_text() -> None:
    parsed = Settings().parse(
        method="bn", gamma="0.5", size="96", iterations=" 7.0", seed=3.0, lr="0.02", colours="luminance",
        style_layers="relu1_1, relu2_1", layer_weights=["1", 0.5], content_layers=None, style_weights="1;2",
    )  # fmt: skip
    assert parsed == Settings(
        method="bn", gamma=0.5, size=96, iterations=7, seed=3, lr=0.02, colours="luminance",
        style_layers=("relu1_1", "relu2_1"), layer_weights=(1.0, 0.5), style_weights=(1.0, 2.0),
    )  # fmt: skip
    assert parsed.parse(style_layers="", layer_weights=[], lr="").lr is None
    for settings in PRESETS.values():
        texts = {
            name: ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            for name, value in settings.as_dict().items()
        }
        assert Settings().parse(**texts) == settings


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("gamma", "much", "gamma must be a number, got 'much'"),
        ("gamma", "", "gamma is empty"),
        ("gamma", None, "gamma is empty"),
        ("gamma", "1e400", "gamma must lie in"),
        ("size", "96.5", "size must be a whole number"),
        ("size", "nan", "size must be a whole number"),
        ("lr", "fast", "lr must be a number"),
        ("layer_weights", "1, x", "layer_weights must be a number, got 'x'"),
        ("layer_weights", 1.0, "layer_weights must be a tuple of numbers"),
        ("colours", "sepia", "colours must be one of"),
        ("method", "magic", "unknown method 'magic'"),
    ],
)
def test_a_text_that_fits_no_setting_is_refused(name: str, text: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings().parse(**{name: text})
    with pytest.raises(TypeError, match="no such setting: gama"):
        Settings().parse(gama="1")


def test_the_classic_presets_run_with_the_embedded_encoder(content: Tensor, style: Tensor) -> None:
    for name in ("paper", "gatys", "tutorial"):
        step = final_step(nstlib.transfer(content, style, name, encoder="vgg19-slim", iterations=8))
        assert step.index == 8 and not step.failed


def test_a_reconstruction_of_the_content_may_have_a_palette_and_has_no_style(content: Tensor) -> None:
    images = [final_step(nstlib.reconstruct_content(content, palette=p, **QUICK)).image for p in (0, 1)]
    assert torch.equal(*images)


def test_a_failed_run_warns_and_gives_the_last_good_image(
    content: Tensor, style: Tensor, monkeypatch
) -> None:
    monkeypatch.setattr(
        StyleTerm, "compare", lambda self, parts: sum(p.sum() for p in parts.values()) * math.nan
    )
    monkeypatch.setattr("nstlib.synthesis.regions.calibrate", lambda objective, *_, **__: objective)
    with pytest.warns(RuntimeWarning, match="last good image"):
        image = nstlib.stylize(content, style, palette=0, **QUICK)
    assert torch.equal(image, content)


def test_calibration_gives_unit_gradients_and_equal_pulls(content: Tensor, style: Tensor) -> None:
    """Measured again by hand at the reference: each style term's gradient has length w_l, and the sum's
    is PULL times the content's, for every method alike."""
    from nstlib.synthesis.objective import PULL

    encoder = nstlib.load_encoder()
    layers = encoder.style_layers
    reference = (content + 0.1).clamp(0, 1)
    for name in ("linear", "poly", "bn:0.5+gaussian:0.5"):
        with torch.no_grad():
            terms = style_terms(nstlib.method(name), encoder(style, layers), dict.fromkeys(layers, 1.0))
            P = encoder(content, ["relu4_2"])
        objective = Objective(P, terms)
        calibrated = calibrate(objective, lambda x, o=objective: encoder(x, o.layers), reference)
        x = reference.clone().requires_grad_()
        features = encoder(x, objective.layers)

        def length(value: Tensor, x: Tensor = x) -> float:
            return torch.autograd.grad(value, x, retain_graph=True)[0].norm().item()

        for term in calibrated.style:
            assert length(term(features)) == pytest.approx(term.weight, rel=1e-3)
        assert sum(term.weight for term in calibrated.style) == pytest.approx(1)
        pull = calibrated.beta * length(sum(term(features) for term in calibrated.style))
        F, target = features["relu4_2"], P["relu4_2"]
        error = (F - target).square().sum() / target.square().sum()
        assert pull == pytest.approx(PULL * length(error), rel=1e-3)


def test_objective_terms_add_up_and_scale(content: Tensor, style: Tensor) -> None:
    encoder = nstlib.load_encoder()
    terms = style_terms(nstlib.method("linear"), encoder(style, ["relu1_1"]), {"relu1_1": 2.0})
    objective = Objective(encoder(content, ["relu4_2"]), terms, alpha=0.5, beta=3.0, gamma=4.0, tv=0.1)
    features = encoder(style[..., :64, :64].contiguous(), objective.layers)
    other = Objective({"relu4_2": features["relu4_2"] * 0 + 1}, terms, alpha=0.5, beta=3.0, gamma=4.0, tv=0.1)
    found = other(style, features)
    F, S = features["relu1_1"], encoder(style, ["relu1_1"])["relu1_1"]
    assert found["style/relu1_1"].item() == pytest.approx(
        12 * (F.mean(-1) - S.mean(-1)).square().sum().item(), rel=1e-4
    )
    P = features["relu4_2"]
    assert found["content/relu4_2"].item() == pytest.approx(0.5 * ((P - 1) ** 2).mean().item(), rel=1e-4)
    assert found["tv"].item() == pytest.approx(0.1 * total_variation(style).item())


@pytest.mark.parametrize(
    ("dtype", "rel"), [(torch.float64, 1e-14), (torch.float32, 1e-6), (torch.bfloat16, 0.01)]
)
def test_the_content_term_has_the_precision_of_its_features(dtype: torch.dtype, rel: float) -> None:
    F, P = (torch.rand(2, 1, 32, 400, generator=torch.Generator().manual_seed(3)) + 0.1).to(dtype)
    term = ContentTerm("relu4_2", P)
    exact = (F.double() - P.double()).square().sum() / P.double().square().sum()
    assert term.compare(term.embed(F)).item() == pytest.approx(exact.item(), rel=rel)


def test_steps_are_frozen(content: Tensor, style: Tensor) -> None:
    step = next(nstlib.transfer(content, style, **QUICK))
    with pytest.raises(dataclasses.FrozenInstanceError):
        step.index = 3  # type: ignore[misc]
