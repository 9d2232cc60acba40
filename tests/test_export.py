"""ONNX files beside PyTorch: onnxruntime computes the library's image.

Without the packages of the extra `export` these fail in CI, and skip elsewhere.
"""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

import nstlib  # isort: skip - before torch: it limits how long waiting threads spin
import numpy as np
import torch
from torch import Tensor

from nstlib import export
from nstlib.__main__ import main
from nstlib.alignment.transports import bures_wasserstein_map, ridge
from nstlib.export import convolutions
from nstlib.feedforward import decoders
from nstlib.feedforward.decoders import load_decoder

MISSING = [name for name in export.NEEDS if importlib.util.find_spec(name) is None]
if MISSING and os.environ.get("CI", "").lower() not in ("1", "true"):
    pytest.skip(f"no {', '.join(MISSING)}: pip install -e .[export]", allow_module_level=True)
assert not MISSING, "CI must have the packages of the extra 'export'"
import onnxruntime  # noqa: E402

METHODS = [*export.METHODS, "bn:0.7+poly:0.3", "linear:0.2+wasserstein:0.8"]


@pytest.fixture(scope="module")
def one_pass(onnx_folder: Path):
    """(content, style, method, strength) → image, by onnxruntime alone."""
    content_maps, statistics, image = (
        onnxruntime.InferenceSession(onnx_folder / f"{name}.onnx") for name in ("content", "style", "image")
    )

    def run(session, **feeds):
        wanted = {i.name for i in session.get_inputs()}
        made = session.run(None, {name: value for name, value in feeds.items() if name in wanted})
        return dict(zip((o.name for o in session.get_outputs()), made, strict=True))

    def make(content: Tensor, style: Tensor, method: str, strength: float) -> Tensor:
        shares = {str(part): share for part, share in nstlib.method(method).components()}
        feeds = {"content": content.numpy(), "strength": np.array(strength, np.float32)}
        feeds["weights"] = np.array([shares.get(name, 0) for name in export.METHODS], np.float32)
        feeds |= run(content_maps, content=content.numpy()) | run(statistics, style=style.numpy())
        return torch.from_numpy(run(image, **feeds)["image"])

    return make


def library(content: Tensor, style: Tensor, method: str, strength: float) -> Tensor:
    encoder = nstlib.load_encoder(device="cpu", dtype="float32")
    return nstlib.onepass(content, style, method, strength, levels=1, palette=0, encoder=encoder)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("strength", [0.0, 0.6, 1.0])
def test_the_image_is_the_library_s(one_pass, content, style, method, strength):
    found, wanted = (one(content, style, method, strength) for one in (one_pass, library))
    difference = 255 * (found - wanted).abs()
    assert found.shape == wanted.shape
    assert difference.mean() < 0.2 and difference.max() < 4
    if strength == 0:
        assert 255 * (found - content).abs().max() < 0.01


@pytest.mark.parametrize("size", [(32, 32), (33, 95), (80, 47)])
def test_images_of_any_size(one_pass, style, size):
    content = torch.nn.functional.interpolate(style, size, mode="bilinear")
    found, wanted = (one(content, style[..., :61, :77], "wasserstein", 1.0) for one in (one_pass, library))
    assert 255 * (found - wanted).abs().max() < 4


def test_the_files_are_small_and_hold_the_package_s_own_float16(onnx_folder):
    onnx = pytest.importorskip("onnx")
    assert {path.name for path in onnx_folder.iterdir()} == {
        "content.onnx",
        "style.onnx",
        "image.onnx",
        "weights.bin",
    }
    assert sum(path.stat().st_size for path in onnx_folder.iterdir()) < 6e6
    half = 0
    for path in onnx_folder.glob("*.onnx"):
        for tensor in onnx.load(path, load_external_data=False).graph.initializer:
            half += tensor.data_type == onnx.TensorProto.FLOAT16
            if tensor.data_type == onnx.TensorProto.FLOAT:
                assert np.prod(tensor.dims) <= 8192, f"{path.name}: {tensor.name} is large and not float16"
    assert half > 40


def covariance(n: int, condition: float, seed: int, dead: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    Q = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))[0]
    values = torch.logspace(0, -torch.log10(torch.tensor(condition)).item(), n, dtype=torch.float64)
    C = (Q * values) @ Q.mT
    C[:dead], C[:, :dead] = 0, 0
    return C


def power(C: Tensor, exponent: float) -> Tensor:
    values, vectors = np.linalg.eigh(C.numpy())
    return torch.from_numpy(vectors * values.clip(1e-30) ** exponent @ vectors.T)


@pytest.mark.parametrize(("n", "condition", "dead"), [(8, 10, 0), (64, 1e4, 0), (128, 1e6, 0), (32, 1e3, 5)])
def test_the_iteration_finds_the_map(n, condition, dead):
    F, S = given = covariance(n, condition, 1, dead), 3 * covariance(n, condition, 2)
    found = export.newton_schulz_map(F.float()[None], S.float()[None])[0].double()
    ε = float(ridge(F.float().diagonal().mean(), S.float().diagonal().mean()))
    F, S = (C + ε * torch.eye(n, dtype=torch.float64) for C in (F, S))
    wanted = power(F, -0.5) @ power(power(F, 0.5) @ S @ power(F, 0.5), 0.5) @ power(F, -0.5)
    assert (found - wanted).norm() < 1e-3 * wanted.norm()
    assert (found @ F @ found - S).norm() < 1e-3 * S.norm()
    direct = bures_wasserstein_map(given[0].float()[None], given[1].float()[None])[0]
    assert (found - direct).norm() < 1e-3 * wanted.norm()


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 4)])
def test_convolutions_with_fewer_products_are_the_decoder_s(size):
    decoder, generator = load_decoder(), torch.Generator().manual_seed(3)
    convs = [part for part in decoder.modules() if isinstance(part, torch.nn.Conv2d)]
    assert max(conv.in_channels for conv in convs) == 256
    for conv in convs:
        given = torch.randn(1, conv.in_channels, *size, generator=generator), conv.weight
        for bias in (conv.bias, None):
            wanted = decoders.convolve(*given, bias)
            torch.testing.assert_close(convolutions.convolve(*given, bias), wanted, rtol=1e-4, atol=1e-4)


def test_a_network_for_one_style(tmp_path, content, capsys):
    path = tmp_path / "ink.onnx"
    assert main(["export", "ink-linear", "-o", str(path)]) == 0
    assert "/255 from PyTorch" in capsys.readouterr().out
    session, network = onnxruntime.InferenceSession(path), nstlib.load_feedforward("ink-linear", device="cpu")
    for image, strength in ((content, 1.0), (content[..., :50, :37], 0.3)):
        feeds = {"content": image.numpy(), "strength": np.array(strength, np.float32)}
        (made,) = session.run(["image"], feeds)
        assert 255 * (torch.from_numpy(made) - network(image, strength)).abs().max() < 0.5


def test_what_differs_from_pytorch_is_not_written(tmp_path):
    model = export.trace(lambda x: 2 * x, (torch.rand(1, 3, 8, 8),), ["x"], ["y"])
    with pytest.raises(
        FloatingPointError, match=r"differ from PyTorch by 0\.5, more than 0\.1: nothing was written"
    ):
        export.save({"double": model}, tmp_path, lambda sessions: 0.5, 0.1)
    assert not list(tmp_path.iterdir())
    with pytest.raises(FloatingPointError, match="differ from PyTorch by nan"):
        export.save({"double": model}, tmp_path, lambda sessions: float("nan"), 0.1)


def test_messages(tmp_path, monkeypatch, capsys):
    assert main(["export", "onepass", "--methods", "energy", "-o", str(tmp_path / "a")]) == 2
    assert (
        "method 'energy' cannot be exported: choose from linear, bn, poly, wasserstein"
        in capsys.readouterr().err
    )
    assert main(["export", "nothing", "-o", str(tmp_path / "a.onnx")]) == 2
    assert "no such network: nothing" in capsys.readouterr().err
    file = tmp_path / "photo.jpg"
    file.write_text("x")
    monkeypatch.setattr("nstlib.export.models.trace", lambda *_: pytest.fail("began to work"))
    for command, words in (
        (["onepass", "-o", str(file)], f"{file} is no folder, and results go into one"),
        (["onepass", "-o", str(file / "a")], f"{file} is no folder"),
        (["ink-linear", "-o", str(tmp_path / "x.txt")], "must end in .onnx"),
        (["ink-linear", "-o", str(tmp_path)], "it is a folder"),
        (["ink-linear", "-o", str(tmp_path / "no" / "x.onnx")], "does not exist"),
    ):
        assert main(["export", *command]) == 2
        assert words in capsys.readouterr().err
    file.unlink()
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main(["export", "onepass", "-o", str(tmp_path / "a")]) == 2
    assert "export needs onnxscript: pip install 'nstlib[export]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
