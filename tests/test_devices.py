"""Devices, and torch's own settings: a pretended GPU without float64, default devices and dtypes, autocast,
inference mode. None of them changes what the library computes."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from oracles import features
from pretend_device import There, pretend
from torch import Tensor

import nstlib
from nstlib.__main__ import main
from nstlib.alignment import KernelMMD
from nstlib.encoders import Encoder
from nstlib.encoders import encoder as encoders
from nstlib.feedforward.decoders import load_decoder
from nstlib.recipes import final_step

ROOT = Path(__file__).parent.parent
HARBOUR, MOSAIC = "examples/contents/harbour.jpg", "examples/styles/mosaic.jpg"
RATIONAL = KernelMMD(lambda x, y: 1 / (1 + nstlib.kernels.squared_distance(x, y)), "rational")
METHODS = [
    "linear",
    "poly(c=2)",
    "gaussian(scales=3)",
    "bn",
    "wasserstein",
    "sliced",
    "energy",
    "laplace",
    "cubic",
    "coral",
    "cmd",
    "bn:0.7+poly:0.3",
]
ALL = [*METHODS, RATIONAL, "gaussian(estimator=paired)"]
QUICK = {"iterations": 2, "levels": 1, "dtype": "float32"}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Images of 48 px are too small for two threads to share."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def device() -> Iterator[torch.device]:
    with pretend() as device:
        yield device


@pytest.fixture
def there(device: torch.device) -> Encoder:
    return nstlib.load_encoder(device=device)


@pytest.fixture(scope="module")
def small() -> tuple[Tensor, Tensor]:
    """A content image of 48 px and a style of 32 px."""
    return nstlib.load_image(ROOT / HARBOUR, size=48), nstlib.load_image(ROOT / MOSAIC, size=32)


def same(found: Tensor, expected: Tensor, atol: float = 1e-4) -> None:
    """The result lies on the pretended device and is the CPU's."""
    assert isinstance(found, There)
    torch.testing.assert_close(found.detach().cpu(), expected.detach(), rtol=1e-3, atol=atol)


@pytest.mark.parametrize("method", ALL, ids=str)
def test_every_discrepancy_needs_no_float64_on_its_device(method: str, device: torch.device) -> None:
    d = nstlib.method(method) if isinstance(method, str) else method
    F, S = features(5, 30, 1).float()[None], features(5, 20, 2, shift=0.5).float()[None]
    of_F, of_S = torch.linspace(0, 1, 30), torch.linspace(1, 2, 20)

    def results(F: Tensor, S: Tensor, of_F: Tensor, of_S: Tensor) -> Iterator[Tensor]:
        for own, weights, of_style in ((d.with_seed(3), None, None), (d.with_seed(3), of_F, of_S)):
            leaf = F.detach().clone().requires_grad_()
            value = own.distance(leaf, own.summary(S, of_style), weights)
            yield value
            yield torch.autograd.grad(value.sum(), leaf)[0]
        if "paired" not in str(method):
            yield nstlib.transport(F, S, d, 0.9, of_F, of_S)
            yield nstlib.alignment.witness(d, F, S)

    on_cpu = results(F, S, of_F, of_S)
    for found in results(*(x.to(device) for x in (F, S, of_F, of_S))):
        same(found, next(on_cpu), atol=1e-3)


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_run_and_one_pass_need_no_float64(
    method: str, there: Encoder, small: tuple[Tensor, Tensor]
) -> None:
    content, style = small
    assert isinstance(nstlib.stylize(content, style, method=method, encoder=there, **QUICK), There)
    assert isinstance(nstlib.onepass(content, style, method, encoder=there), There)


@pytest.mark.parametrize("preset", nstlib.PRESETS)
def test_the_presets_need_no_float64(preset: str, there: Encoder, small: tuple[Tensor, Tensor]) -> None:
    image = nstlib.stylize(*small, preset, encoder=there, **QUICK | {"levels": nstlib.PRESETS[preset].levels})
    assert isinstance(image, There) and image.cpu().isfinite().all()


def test_the_other_ways_to_an_image_need_no_float64(
    there: Encoder, small: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    content, style = small
    left = torch.zeros(37, 47)  # of a size that no layer's divides
    left[:, :20] = 1
    two, masks = [style, content], [left, 1 - left]
    found = [
        nstlib.stylize(content, style, colours="luminance", encoder=there, **QUICK),
        nstlib.stylize(content, style, colours="content", encoder=there, **QUICK),
        nstlib.onepass(content, style, colours="luminance", encoder=there),
        nstlib.onepass(content, style, colours="content", encoder=there),
        nstlib.stylize(content, two, masks=masks, encoder=there, **QUICK),
        nstlib.stylize(content, two, style_weights=(1, 2), start="onepass", encoder=there, **QUICK),
        nstlib.onepass(content, two, masks=masks, encoder=there),
        nstlib.stylize(content, style, memory="small", optimizer="adam", tv=1.0, encoder=there, **QUICK),
        final_step(nstlib.reconstruct_style(style, 2, encoder=there, **QUICK)).image,
        final_step(nstlib.reconstruct_content(content, encoder=there, **QUICK)).image,
        nstlib.load_feedforward("strokes-gram", device=there.device)(content.to(there.device)),
    ]
    assert all(isinstance(image, There) and image.cpu().isfinite().all() for image in found)
    monkeypatch.setattr(
        torch, "autocast", lambda *_, **__: contextlib.nullcontext()
    )  # it names real devices only
    training = nstlib.train_feedforward(style, [content], encoder=there, iterations=1, size=64, batch=1)
    assert isinstance(next(training).image, There)


def test_tests_and_oracles_need_no_float64(there: Encoder, small: tuple[Tensor, Tensor]) -> None:
    content, style = small
    on_cpu, layers = nstlib.load_encoder(device="cpu"), ("relu1_1", "relu3_1")
    found = nstlib.synthesis.p_values(content, style, there, layers)
    assert found == pytest.approx(nstlib.synthesis.p_values(content, style, on_cpu, layers), abs=0.02)
    for layer, witness in nstlib.synthesis.witnesses(content, style, there, layers=layers).items():
        same(witness, nstlib.synthesis.witnesses(content, style, on_cpu, layers=layers)[layer])
    F, S = (features(5, 30, seed).float()[None] for seed in (1, 2))
    values, slopes = [], []
    for device in ("cpu", there.device):
        leaf, other = F.to(device).requires_grad_(), S.to(device)
        kernel = nstlib.kernels.gaussian(nstlib.kernels.bandwidth(leaf.detach(), other))
        values.append(nstlib.mmd2(kernel, leaf, other, chunk=7))
        slopes.append(torch.autograd.grad(values[-1].sum(), leaf)[0])
    same(values[1], values[0])
    same(slopes[1], slopes[0])
    assert there(content.double(), ["relu1_1"])["relu1_1"].dtype == torch.float32


def _everything() -> dict[str, Tensor]:
    """One result of every kind, with caches that were empty before."""
    encoders._load.cache_clear()
    load_decoder.cache_clear()
    content, style = nstlib.load_image(ROOT / HARBOUR, size=48), nstlib.load_image(ROOT / MOSAIC, size=32)
    with torch.device("cpu"):
        F, S = features(5, 30, 1).float()[None], features(5, 20, 2).float()[None]
    encoder = nstlib.load_encoder(device="cpu")
    p_values = nstlib.synthesis.p_values(content, style, encoder, ("relu1_1",))
    found = {
        "run": nstlib.stylize(content, style, method="wasserstein+gaussian", encoder=encoder, **QUICK),
        "adam": nstlib.stylize(content, style, optimizer="adam", memory="small", encoder=encoder, **QUICK),
        "colours": nstlib.stylize(content, style, colours="content", encoder=encoder, **QUICK),
        "random": nstlib.stylize(content, style, encoder="vgg19-random", start="random", **QUICK),
        "texture": final_step(nstlib.reconstruct_style(style, 1, encoder=encoder, **QUICK)).image,
        "onepass": nstlib.onepass(content, style, "energy", encoder=encoder),
        "apply": nstlib.load_feedforward("strokes-gram", device="cpu")(content),
        "mmd2": nstlib.mmd2(nstlib.kernels.gaussian(1.0), F, S),
        "p": torch.tensor(list(p_values.values()), dtype=torch.float64, device="cpu"),
        **{f"witness {k}": v for k, v in nstlib.synthesis.witnesses(content, style, encoder).items()},
    }
    for method in ALL:
        d = nstlib.method(method) if isinstance(method, str) else method
        found[f"d {d}"] = d.with_seed(1).distance(F, d.with_seed(1).summary(S))
        if "paired" not in str(d):
            found[f"transport {d}"] = nstlib.transport(F, S, d)
    training = nstlib.train_feedforward(
        style, [content], encoder=encoder, iterations=2, size=64, batch=1, dtype="float32"
    )
    return found | {"train": [step.image for step in training][-1]}


@pytest.fixture(scope="module")
def everything() -> dict[str, Tensor]:
    return _everything()


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


SETTINGS: dict[str, Callable[[], contextlib.AbstractContextManager[object]]] = {
    "default device": lambda: torch.device("meta"),
    "default dtype": lambda: default_dtype(torch.float64),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference mode": torch.inference_mode,
    "no_grad": torch.no_grad,
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_torchs_settings_change_nothing(setting: str, everything: dict[str, Tensor]) -> None:
    """Neither while they hold, nor afterwards, for what was loaded meanwhile."""
    with SETTINGS[setting]():
        found = _everything()
    content, style = nstlib.load_image(ROOT / HARBOUR, size=48), nstlib.load_image(ROOT / MOSAIC, size=32)
    found["later"] = nstlib.stylize(content, style, method="wasserstein+gaussian", **QUICK)
    for name, expected in (everything | {"later": everything["run"]}).items():
        assert found[name].dtype == expected.dtype and found[name].device == expected.device, name
        assert not found[name].requires_grad, name
        assert torch.equal(found[name], expected), name


def test_steps_leave_the_callers_settings_alone(
    small: tuple[Tensor, Tensor], everything: dict[str, Tensor]
) -> None:
    """Settings that change between two steps reach neither the run, nor does the run change them."""
    seen, image = [], None
    steps = nstlib.transfer(*small, method="wasserstein+gaussian", **QUICK)
    for setting in ("inference mode", "autocast"):
        with SETTINGS[setting](), torch.device("meta"):
            step = next(steps)
            seen.append(
                (torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"), torch.ones(1).device)
            )
            image = step.image
    assert seen == [(True, False, torch.device("meta")), (False, True, torch.device("meta"))]
    assert image is not None and torch.equal(image, everything["run"]) and not image.is_inference()
    steps.close()
    assert next(steps, None) is None and torch.is_grad_enabled()


def test_an_image_loaded_in_inference_mode_is_an_image(small: tuple[Tensor, Tensor]) -> None:
    with torch.inference_mode():
        content, style = (image.clone() for image in small)
        mask = torch.ones(36, 48)
    options = {"masks": [mask], "method": "sliced", **QUICK}
    expected = nstlib.stylize(*small, **options)
    assert torch.equal(nstlib.stylize(content, style, **options), expected)
    assert torch.equal(nstlib.stylize(content, [style], initial=content, **options), expected)


def test_the_package_may_be_imported_under_other_settings(
    tmp_path: Path, everything: dict[str, Tensor]
) -> None:
    code = f"""
import torch
torch.set_num_threads({torch.get_num_threads()})
torch.set_default_device("meta"); torch.set_default_dtype(torch.float64)
torch.inference_mode().__enter__()
import nstlib
content, style = nstlib.load_image({HARBOUR!r}, size=48), nstlib.load_image({MOSAIC!r}, size=32)
options = {QUICK | {"method": "wasserstein+gaussian"}!r}
nstlib.save_image(nstlib.stylize(content, style, **options), {str(tmp_path / "found.png")!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=120)
    nstlib.save_image(everything["run"], tmp_path / "expected.png")
    expected = nstlib.load_image(tmp_path / "expected.png")
    assert torch.equal(nstlib.load_image(tmp_path / "found.png"), expected)


def test_the_default_device_is_one_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """A virtual machine may call a GPU available on which nothing can be allocated."""
    monkeypatch.delenv("NSTLIB_DEVICE", raising=False)
    expected = encoders.working_devices()
    for backend in (torch.cuda, torch.backends.mps):
        if not backend.is_available():
            monkeypatch.setattr(backend, "is_available", lambda: True)
    assert encoders.working_devices() == expected
    assert encoders.pick_device() == torch.device(expected[0])
    monkeypatch.setenv("NSTLIB_DEVICE", "nowhere")
    with pytest.raises(ValueError, match="device 'nowhere' does not work here"):
        nstlib.load_encoder()
    assert nstlib.load_encoder(device="cpu").device == torch.device("cpu")


@pytest.mark.parametrize("device", ["gpu", "meta", "cuda:99", "mtia", ""])
def test_a_device_that_does_not_work_is_named(device: str) -> None:
    for load in (nstlib.load_encoder, lambda device: nstlib.load_feedforward("waves-bn", device=device)):
        with pytest.raises(ValueError, match=r"device .* does not work here .* one of .*cpu") as error:
            load(device=device)
        assert repr(device) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "command",
    [
        ["transfer", HARBOUR, MOSAIC, "--size", "32", "--iterations", "1", "--quiet"],
        ["reconstruct", MOSAIC, "--size", "32", "--iterations", "1", "--quiet"],
        ["onepass", HARBOUR, MOSAIC, "--size", "32"],
        ["train", MOSAIC, "--images", "examples/contents", "--size", "64", "--iterations", "1", "--quiet"],
        ["apply", "waves-bn", HARBOUR, "--size", "32"],
    ],
    ids=lambda command: command[0],
)
def test_every_command_takes_a_device(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    output = tmp_path / ("o.safetensors" if command[0] == "train" else "o.png")
    assert main([*command, "-o", str(output), "--device", "nowhere"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("nstlib: device 'nowhere' does not work here") and len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())
    chosen: list[object] = []
    pick = encoders.pick_device
    for module in (encoders, sys.modules["nstlib.feedforward.networks"]):
        monkeypatch.setattr(
            module, "pick_device", lambda device="auto": chosen.append(device) or pick(device)
        )
    assert main([*command, "-o", str(output), "--device", "cpu"]) == 0
    assert output.is_file() and set(map(str, chosen)) == {"cpu"}
