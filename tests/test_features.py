"""Encoders: names and shapes against torchvision's own networks, values against a plain forward pass."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import nstlib
from nstlib.encoders import networks
from nstlib.encoders.encoder import Encoder, _load
from nstlib.encoders.networks import torchvision_models


@pytest.fixture(scope="module")
def picture() -> Tensor:
    coarse = torch.rand(1, 3, 7, 9, generator=torch.Generator().manual_seed(1))
    return nn.functional.interpolate(coarse, size=(70, 93), mode="bilinear")


@pytest.mark.parametrize("name", ["vgg19", "vgg16"])
def test_vgg_matches_torchvisions_module_list(name: str, picture: Tensor) -> None:
    """Walks torchvision's `features`, naming as it goes, and compares every single map."""
    torch.manual_seed(0)
    reference = getattr(torchvision_models(), name)()
    state = {k: v.clone() for k, v in reference.state_dict().items() if "classifier" not in k}
    encoder = Encoder(name, networks.build(name, state, "max"), "", torch.device("cpu"))
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    x, block, index, names = (picture - mean) / std, 1, 1, []
    with torch.no_grad():
        found = encoder.maps(picture, encoder.layers)
        for module in reference.features:
            x = module(x)
            if isinstance(module, nn.MaxPool2d):
                block, index = block + 1, 1
                continue
            kind = "conv" if isinstance(module, nn.Conv2d) else "relu"
            layer = f"{kind}{block}_{index}"
            index += kind == "relu"
            names.append(layer)
            if kind == "conv":  # torchvision's ReLU works in place: compare before it runs
                torch.testing.assert_close(found[layer], x, rtol=1e-3, atol=1e-5)
            else:
                torch.testing.assert_close(found[layer], x, rtol=1e-3, atol=1e-5)
                assert encoder.channels[layer] == x.shape[1]
    assert list(encoder.layers) == names


@pytest.mark.parametrize("size", [(2, 2), (5, 4), (8, 7), (3, 9)])
def test_pooling_without_gradients_is_torch_s(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    x[0, 0, 0, 0] = torch.nan
    for stage in (networks.pool("max"), networks.pool("max", 3, 2, 1)):
        wanted = nn.MaxPool2d(stage.kernel_size, 2, stage.padding)(x)
        torch.testing.assert_close(stage(x), wanted, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(stage(x.clone().requires_grad_()), wanted, rtol=0, atol=0, equal_nan=True)


def test_maps_are_channels_last_and_of_the_dtype_asked_for(picture: Tensor) -> None:
    encoder = nstlib.load_encoder(dtype="bfloat16")
    wide, own = (
        encoder.maps(picture, encoder.style_layers, dtype=t) for t in (torch.float32, torch.bfloat16)
    )
    for layer in encoder.style_layers:
        assert own[layer].dtype == torch.bfloat16 and torch.equal(own[layer].float(), wide[layer])
        padded = nn.functional.pad(own[layer], (1, 1, 1, 1), mode="replicate")
        assert padded.is_contiguous(memory_format=torch.channels_last)  # else all that follows is slow


def test_resnet_matches_torchvision(picture: Tensor) -> None:
    model = torchvision_models().resnet50().eval()
    torch.manual_seed(0)
    encoder = Encoder(
        "resnet50", networks.build("resnet50", model.state_dict(), "max"), "", torch.device("cpu")
    )
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        x = model.relu(model.bn1(model.conv1((picture - mean) / std)))
        found = encoder.maps(picture, ("relu1", "block3_4", "block5_3"))
        torch.testing.assert_close(found["relu1"], x, rtol=1e-3, atol=1e-5)
        x = model.layer2(model.layer1(model.maxpool(x)))
        torch.testing.assert_close(found["block3_4"], x, rtol=1e-3, atol=1e-4)
        x = model.layer4(model.layer3(x))
        torch.testing.assert_close(found["block5_3"], x, rtol=1e-3, atol=1e-3)
    assert {*encoder.style_layers, encoder.content_layer} <= set(encoder.layers)


@given(st.integers(16, 90), st.integers(16, 90))
@settings(max_examples=15, deadline=None)
def test_the_embedded_encoders_shapes(height: int, width: int) -> None:
    encoder = nstlib.load_encoder()
    F = encoder(torch.rand(1, 3, height, width), encoder.layers)
    for layer, feature in F.items():
        stride = 2 ** (int(layer[4]) - 1)
        assert feature.shape == (1, encoder.channels[layer], (height // stride) * (width // stride))
        assert encoder.strides[layer] == stride
    widths = [encoder.channels[f"relu{block}_1"] for block in range(1, 6)]
    assert widths == [16, 32, 64, 128, 128]


def test_the_embedded_encoder_sees_no_border() -> None:
    """A constant picture has constant features: zero padding inside would show at the edges."""
    encoder = nstlib.load_encoder()
    maps = encoder.maps(torch.full((1, 3, 160, 160), 0.3), encoder.style_layers[:3])
    for layer, x in maps.items():
        spread = (x.amax((2, 3)) - x.amin((2, 3))).max()
        assert spread < 1e-3 * x.abs().max(), layer


def test_embedded_layers_weigh_alike() -> None:
    """Channels keep the scale of the teacher's: every style layer's mean activation is of order one."""
    encoder = nstlib.load_encoder()
    image = nstlib.load_image("examples/contents/harbour.jpg", size=256)
    means = [F.mean().item() for F in encoder(image, encoder.style_layers).values()]
    assert max(means) < 6 * min(means), means
    for layer, F in encoder(image, encoder.style_layers).items():
        alive = (F.amax(-1) > 0).float().mean().item()
        assert alive > 0.9, (layer, alive)


def test_only_the_layers_asked_for_are_run(picture: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = nstlib.load_encoder()
    ran: list[str] = []
    hooks = [
        stage.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, stage in encoder.network.stages.items()
        if not name.startswith("relu")  # run in place, without a call of the module
    ]
    encoder(picture, ["relu2_1"])
    for hook in hooks:
        hook.remove()
    assert ran == ["conv1_1", "conv1_2", "pool1", "conv2_1"]


def test_features_are_the_relu_of_the_convolution(picture: Tensor) -> None:
    F = nstlib.load_encoder()(picture, ["conv3_2", "relu3_2"])
    torch.testing.assert_close(F["relu3_2"], F["conv3_2"].clamp(min=0))
    assert F["conv3_2"].min() < 0


def test_average_pooling_keeps_the_scale() -> None:
    image = nstlib.load_image("examples/contents/harbour.jpg", size=192)
    maximum, average = (
        nstlib.load_encoder(pooling=p)(image, ["relu2_1"])["relu2_1"].mean() for p in ("max", "avg")
    )
    assert 0.6 < average / maximum < 1.6
    assert average != maximum


def test_the_random_encoder_is_seeded_and_neither_vanishes_nor_explodes() -> None:
    encoder = nstlib.load_encoder("vgg19-random")
    image = nstlib.load_image("examples/contents/valley.jpg", size=96)
    F = encoder(image, encoder.layers)
    spreads = [F[layer].std().item() for layer in encoder.layers if layer.startswith("relu")]
    assert len(spreads) == 16 and all(0.05 < spread < 5 for spread in spreads), spreads
    again = Encoder("again", networks.random_vgg19("max"), "", torch.device("cpu"))
    torch.testing.assert_close(again(image, ["relu4_1"])["relu4_1"], F["relu4_1"])


def test_gradients_reach_the_image(picture: Tensor) -> None:
    x = picture.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(nstlib.load_encoder()(x, ["relu4_2"])["relu4_2"].square().sum(), x)
    assert torch.isfinite(gradient).all() and (gradient.abs().amax(1) > 0).float().mean() > 0.9


def test_loading_twice_gives_the_same_object() -> None:
    assert nstlib.load_encoder() is nstlib.load_encoder("vgg19-slim")
    assert _load.cache_info().maxsize is not None  # old encoders are let go


def test_mistakes_are_named(picture: Tensor) -> None:
    encoder = nstlib.load_encoder()
    with pytest.raises(ValueError, match="unknown encoder 'vgg'; encoders are vgg19-slim"):
        nstlib.load_encoder("vgg")
    with pytest.raises(ValueError, match="pooling must be 'max' or 'avg'"):
        nstlib.load_encoder(pooling="mean")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has no layer relu9_9; it has conv1_1, relu1_1"):
        encoder(picture, ["relu9_9"])
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\)"):
        encoder(picture[0], ["relu1_1"])
    with pytest.raises(ValueError, match="the image is 9 x 12 px.*at least 16 px for the layer relu5_1"):
        encoder(torch.zeros(1, 3, 12, 9), ["relu5_1"])
