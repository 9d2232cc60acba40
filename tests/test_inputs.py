"""Image and mask arguments: one check with one message for every function that takes them."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import nstlib
from nstlib import inputs
from nstlib.feedforward.networks import FeedForward

QUICK = {"iterations": 1, "levels": 1, "palette": 0}
TRAIN = {"size": 64, "batch": 2, "dtype": "float32"}
GOOD = torch.rand(1, 3, 32, 40, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (GOOD * 255, r"0 … 255; divide them, image / 255"),
        (GOOD * 65535, r"0 … 65535; divide them"),
        (GOOD * 2 - 1, r"-1 … 1; shift them, \(image \+ 1\) / 2"),
        ((GOOD - 0.45) / 0.225, r"normalised for a network; undo it"),
        (GOOD * 1.05, r"overshoot.*image.clamp\(0, 1\)"),
        (GOOD * 1e9 - 5e8, r"bring them into \[0, 1\]"),
        ((GOOD * 255).byte(), r"got torch.uint8.*image.float\(\) / 255"),
        (GOOD > 0.5, r"got torch.bool: use image.float\(\)"),
        (GOOD.to(torch.complex64), r"got torch.complex64: use its real part"),
        (GOOD * float("nan"), r"NaN or infinite"),
        (GOOD.masked_fill(GOOD > 0.9, float("-inf")), r"NaN or infinite"),
        (GOOD[0], r"add the batch dimension, image\[None\]"),
        (GOOD[0].permute(1, 2, 0), r"image.permute\(2, 0, 1\)\[None\]"),
        (GOOD.permute(0, 2, 3, 1), r"image.permute\(0, 3, 1, 2\)"),
        (GOOD[:, :1], r"image.expand\(-1, 3, -1, -1\)"),
        (torch.cat([GOOD, GOOD[:, :1]], 1), r"image\[:, :3\]"),
        (torch.cat([GOOD, GOOD]), r"one image at a time"),
        (GOOD[..., :0], r"\(1, 3, H, W\), got shape"),
        (GOOD[0, 0], r"\(1, 3, H, W\), got shape"),
    ],
)
def test_the_message_names_the_argument_the_likely_cause_and_a_remedy(image: Tensor, words: str) -> None:
    with pytest.raises(ValueError, match=f"^content must .*{words}"):
        inputs.check_image(image, "content")


@pytest.mark.parametrize(
    "value",
    [
        "a.jpg",
        Path("a.jpg"),
        Image.new("RGB", (9, 9)),
        np.zeros((9, 9, 3), np.uint8),
        None,
        1.0,
        {"a": 1},
        b"x",
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_tensor_is_sent_to_load_image(value: object) -> None:
    for check in (inputs.check_image, inputs.check_images):
        with pytest.raises(TypeError, match=r"^style must be a tensor, got .* use nstlib.load_image\("):
            check(value, "style")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (GOOD.to("meta"), "must hold values, .* meta device: load or compute them first"),
        (GOOD.to_sparse(), r"must be a dense tensor, got torch.sparse_coo: .*to_dense\(\)"),
    ],
)
def test_a_tensor_without_values_at_every_place_is_refused(value: Tensor, words: str) -> None:
    encoder = nstlib.load_encoder()
    for use in (
        lambda: nstlib.transfer(value, GOOD),
        lambda: nstlib.save_image(value, "nothing.png"),
        lambda: encoder(value, ["relu1_1"]),
        lambda: inputs.check_masks([value]),
    ):
        with pytest.raises(TypeError, match=words):
            use()


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (nstlib.transfer, "transfer"),
        (nstlib.stylize, "stylize"),
        (nstlib.onepass, "onepass"),
        (nstlib.prepare, "prepare"),
        (nstlib.train_feedforward, "train_feedforward"),
    ],
)
def test_the_argument_device_points_to_the_encoder(call: Callable[..., object], name: str) -> None:
    with pytest.raises(TypeError, match=rf"^{name} has no argument 'device': .*load_encoder\(device=…\)"):
        call(GOOD, GOOD, device="cuda")


@pytest.mark.parametrize(
    ("call", "order"),
    [
        (lambda F, k: nstlib.mmd2(F, F, k), r"mmd2\(kernel, F, S\)"),
        (lambda F, k: nstlib.mmd2(F, k, F), r"mmd2\(kernel, F, S\)"),
        (lambda F, k: nstlib.permutation_test(k, F, F), r"permutation_test\(F, S, kernel\)"),
        (lambda F, k: nstlib.transport("bn", F, F), r"transport\(F, S, method\)"),
        (lambda F, k: nstlib.alignment.witness(F, F, nstlib.LinearMMD()), r"witness\(d, F, S\)"),
        (lambda F, k: nstlib.LinearMMD()(F, k), r"d\(F, S\)"),
    ],
)
def test_swapped_arguments_are_told_their_order(call: Callable[..., object], order: str) -> None:
    with pytest.raises(TypeError, match=f"F and S must be tensors, got .* the arguments is {order}"):
        call(torch.rand(2, 3), nstlib.kernels.linear)


def test_a_small_overshoot_is_clamped_and_every_float_becomes_float32() -> None:
    edges = GOOD.masked_fill(GOOD > 0.9, 1 + 0.9 * inputs.SLACK).masked_fill(GOOD < 0.1, -0.9 * inputs.SLACK)
    checked = inputs.check_image(edges, "image")
    assert checked.min() == 0 and checked.max() == 1 and edges.max() > 1
    with pytest.raises(ValueError, match="clamp"):
        inputs.check_image(edges.masked_fill(GOOD > 0.9, 1 + 1.1 * inputs.SLACK), "image")
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        again = inputs.check_image(GOOD.to(dtype).requires_grad_(), "image")
        assert again.dtype is torch.float32 and not again.requires_grad
        assert torch.equal(again, GOOD.to(dtype).float())
    same = inputs.check_image(GOOD, "image")
    assert torch.equal(same, GOOD) and same.data_ptr() != GOOD.data_ptr(), (
        "a later edit of it changes nothing"
    )


@functools.cache
def untrained() -> FeedForward:
    return FeedForward("light").eval()


ENTRIES: dict[str, Callable[[Tensor], object]] = {
    "content": lambda bad: nstlib.transfer(bad, GOOD),
    "style": lambda bad: nstlib.stylize(GOOD, bad, **QUICK),
    "style 2": lambda bad: nstlib.transfer(GOOD, [GOOD, bad]),
    "initial": lambda bad: nstlib.transfer(GOOD, GOOD, initial=bad),
    "reconstruct_style": lambda bad: nstlib.reconstruct_style(bad),
    "reconstruct_content": lambda bad: nstlib.reconstruct_content(bad),
    "onepass": lambda bad: nstlib.onepass(bad, GOOD),
    "prepare": lambda bad: nstlib.prepare(GOOD, bad),
    "train": lambda bad: nstlib.train_feedforward(bad, [GOOD], **TRAIN),
    "train images": lambda bad: nstlib.train_feedforward(GOOD, [GOOD, bad], **TRAIN),
    "network": lambda bad: untrained()(bad),
    "to_pil": nstlib.to_pil,
    "save_image": lambda bad: nstlib.save_image(bad, "nothing.png"),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_function_refuses_another_range_and_kind(entry: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for bad in (GOOD * 255, GOOD * 2 - 1, (GOOD * 255).byte(), GOOD * float("nan")):
        with pytest.raises(ValueError, match=r"must (lie|hold)"):
            ENTRIES[entry](bad)
    for kind, remedy in (
        (Image.new("RGB", (40, 32)), r"use nstlib.load_image\(a path or a Pillow image\)"),
        (np.zeros((32, 40, 3), np.uint8), r"use nstlib.load_image\(PIL.Image.fromarray\(array\)\)"),
        (np.zeros((3, 32, 40), np.uint8), r"use torch.from_numpy\(array\)$"),
        (np.zeros((1, 3, 32, 40), np.float32), r"use torch.from_numpy\(array\)$"),
        (np.zeros((32, 40, 3)), r"use torch.from_numpy\(array\).permute\(2, 0, 1\)\[None\]$"),
    ):
        with pytest.raises(TypeError, match=remedy):
            ENTRIES[entry](kind)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_images_of_any_float_type_mix_and_results_require_no_gradient(dtype: torch.dtype) -> None:
    content, style = GOOD.to(dtype).requires_grad_(), GOOD.flip(-1)
    plain = content.detach().float()
    for run in (
        lambda image: nstlib.stylize(image, style, **QUICK | {"iterations": 2}),
        lambda image: nstlib.onepass(image, style, palette=0),
        lambda image: nstlib.onepass(style, [image, style], masks=[torch.ones(4, 4), torch.eye(4)]),
        untrained(),
    ):
        image = run(content)
        assert image.dtype is torch.float32 and not image.requires_grad
        assert torch.equal(image, run(plain))


def test_masks_of_every_kind() -> None:
    halves = torch.tensor([[True, False], [True, True]]), torch.tensor([[0, 255], [0, 1]], dtype=torch.uint8)
    checked = inputs.check_masks(halves)
    assert [mask.shape for mask in checked] == [(1, 1, 2, 2)] * 2
    assert torch.equal(checked[1][0, 0], halves[1].float())
    for masks, words in (
        ([GOOD], r"mask 1 must be \(H, W\).*mask.mean\(1, keepdim=True\)"),
        ([torch.ones(2, 2), torch.tensor([[float("nan")]])], "mask 2 must hold finite numbers"),
        ([torch.zeros(2, 2)], "all masks are empty"),
    ):
        for call in (nstlib.transfer, nstlib.onepass):
            with pytest.raises(ValueError, match=words):
                call(GOOD, [GOOD] * len(masks), masks=masks)
    with pytest.raises(TypeError, match=r"mask 1 must be a tensor, got ndarray: use nstlib.images.load_mask"):
        nstlib.transfer(GOOD, GOOD, masks=[np.ones((2, 2), np.uint8)])
    with pytest.raises(
        TypeError, match=r"mask 1 must be a tensor, got ndarray: use torch.from_numpy\(array\)"
    ):
        nstlib.transfer(GOOD, GOOD, masks=[np.ones((2, 2))])
    for single in (torch.ones(2, 2), torch.ones(1, 1, 2, 2), np.ones((2, 2))):
        with pytest.raises(ValueError, match=r"masks must be a list, got shape \(.*2, 2\): put it in a list"):
            nstlib.transfer(GOOD, GOOD, masks=single)
    assert len(inputs.check_masks(torch.ones(3, 2, 2))) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"style_scale": 0.1}, r"style at style_scale 0.1 is 4 x 3 px.*at least 16 px for the layer relu5_1"),
        ({"style_layers": "relu1_1"}, "style_layers must be a tuple of names"),
        ({"style_layers": (1,)}, "style_layers must hold the names of layers"),
        ({"content_layers": ("relu9_9",)}, "has no layer relu9_9"),
        ({"layer_weights": (1.0, float("nan"), 1.0, 1.0, 1.0)}, "layer_weights must be finite numbers"),
        ({"layer_weights": (0,) * 5}, "not all zero"),
        ({"layer_weights": 1.0}, "layer_weights must be a tuple of numbers"),
        ({"style_weights": (float("inf"),)}, "style_weights must be finite numbers"),
        ({"iterations": 2.5}, "iterations must be a whole number"),
        ({"seed": float("nan")}, "seed must be a whole number"),
        ({"tv": "much"}, "tv must be a number"),
        *(
            ({name: float("nan")}, f"{name} must lie in")
            for name in ("gamma", "alpha", "palette", "tv", "lr")
        ),
        *(({name: float("inf")}, f"{name} must lie in") for name in ("tolerance", "style_scale")),
        ({"size": float("inf")}, "size must be a whole number"),
    ],
    ids=str,
)
def test_every_setting_is_checked_at_the_call(changes, words) -> None:
    with pytest.raises(ValueError, match=words):
        nstlib.transfer(GOOD, GOOD, memory="fast", **changes)  # no step is taken


def test_a_number_of_another_type_is_as_good() -> None:
    settings = nstlib.Settings(
        iterations=2.0, seed=np.int64(3), gamma=np.float32(0.5), style_layers=["relu1_1"]
    )
    assert settings == nstlib.Settings(iterations=2, seed=3, gamma=0.5, style_layers=("relu1_1",))
    assert type(settings.iterations) is int and type(settings.gamma) is float
    assert len(list(nstlib.transfer(GOOD, GOOD, settings, levels=1.0))) == 2


def test_a_layer_or_an_image_out_of_range_is_refused_at_the_call() -> None:
    for call, words in (
        (lambda: nstlib.reconstruct_content(GOOD, "relu9_9", memory="fast"), "has no layer relu9_9"),
        (lambda: nstlib.reconstruct_style(GOOD, 1.5), "layer must lie in"),
        (lambda: nstlib.reconstruct_style(GOOD, 1, layer_weights=(0, 1, 1, 1, 1)), "not all zero"),
        (lambda: nstlib.reconstruct_style(GOOD, style_weights=(1, 2)), "one weight for each style: 2 for 1"),
        (lambda: nstlib.reconstruct_style(GOOD, style_scale=0.2), "style at style_scale 0.2 is 8 x 6 px"),
        (lambda: nstlib.transfer(GOOD[..., :9], GOOD), "content is 9 x 32 px"),
        (lambda: nstlib.transfer(GOOD, [GOOD] * 65), "at most 64 styles"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    thin = nstlib.transfer(
        GOOD[..., :1], GOOD, style_layers=("relu1_1",), content_layers=("relu1_2",), **QUICK
    )
    assert next(thin).image.shape == (1, 3, 32, 1), "shallow layers see it"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"palette": float("nan")}, "palette must lie in"),
        ({"palette": -1}, "palette must lie in"),
        ({"style_weights": [float("nan")]}, "style_weights must be finite"),
        ({"strength": float("nan")}, "strength must lie in"),
        ({"strength": "1"}, "strength must lie in"),
        ({"detail": float("inf")}, "detail must lie in"),
        ({"colours": "sepia"}, "colours must be one of"),
        ({"style_scale": float("nan")}, "style_scale must lie in"),
        ({"style_scale": 0.1}, "style at style_scale 0.1 is 4 x 3 px"),
        ({"levels": 1.5}, "levels must be a whole number"),
        ({"rounds": float("nan")}, "rounds must be a whole number"),
        ({"seed": -1}, "seed must lie in"),
    ],
    ids=str,
)
def test_one_pass_checks_its_choices_too(changes, words) -> None:
    with pytest.raises(ValueError, match=words):
        nstlib.onepass(GOOD, GOOD, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        *(({n: float("nan")}, f"{n} must") for n in ("gamma", "lr", "tv", "palette", "iterations", "batch")),
        ({"tv": -1}, "tv must lie in"),
        ({"batch": 2.5}, "batch must be a whole number"),
        ({"seed": -1}, "seed must lie in"),
        ({"dtype": "half"}, "dtype must be one of"),
        ({"every": 0}, "every must be a whole number of steps"),
        ({"output": "net.jpg"}, "output must end in .safetensors"),
        ({"output": "n.safetensors", "checkpoint": "./n.safetensors"}, "output and checkpoint are one file"),
    ],
    ids=str,
)
def test_training_checks_its_choices_too(changes, words, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=words):
        nstlib.train_feedforward(GOOD, [GOOD], **changes)
    assert not list(tmp_path.iterdir())
