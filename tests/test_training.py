"""The training script, for a few steps on a teacher of random weights: it trains, resumes and exports."""

import contextlib
import io
import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import nstlib
from nstlib.feedforward import pipeline
from nstlib.feedforward.decoders import LEVELS, METHODS, WEIGHTS, load_decoder

ROOT = Path(__file__).parent.parent
PLAN = ((16, 2), (32, 2), (64, 4), (128, 4), (128, 1))  # widths and depths of the compact teacher
FULL = (24, 48, 96, 160, 160)  # widths its auxiliary maps are lifted to, here a little above the student's


def compact_teacher(path: Path) -> Path:
    """A file with the compact VGG-19's names and shapes, and seeded random values."""
    generator = torch.Generator().manual_seed(0)

    def conv(to: int, of: int, size: int) -> torch.Tensor:
        return torch.randn(to, of, size, size, generator=generator) * (2 / (of * size * size)) ** 0.5

    tensors = {"conv0.weight": torch.eye(3)[:, :, None, None].contiguous(), "conv0.bias": torch.zeros(3)}
    channels = 3
    for block, ((width, depth), full) in enumerate(zip(PLAN, FULL, strict=True), start=1):
        for index in range(1, depth + 1):
            tensors[f"conv{block}{index}.weight"] = conv(width, channels, 3)
            tensors[f"conv{block}{index}.bias"] = torch.zeros(width)
            channels = width
        tensors[f"conv{block}1_aux.weight"] = conv(full, width, 1)
        tensors[f"conv{block}1_aux.bias"] = torch.zeros(full)
    save_file(tensors, path)
    return path


@pytest.fixture
def images(tmp_path: Path) -> str:
    """A folder of three images, one of which is held out."""
    (folder := tmp_path / "images").mkdir()
    for name in ("contents/harbour", "contents/valley", "styles/strokes"):
        shutil.copy(ROOT / "examples" / f"{name}.jpg", folder)
    return str(folder)


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts of training/ can be imported."""
    monkeypatch.syspath_prepend(ROOT / "training")


def as_a_process(name: str, *options: object) -> str:
    """Runs a script of training/ as a user does; returns what it prints."""
    command = [sys.executable, f"training/{name}.py", *map(str, options)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def here(name: str, *options: object) -> str:
    """Runs a script of training/ in this process, which has torch; returns what it prints."""
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        contextlib.redirect_stdout(io.StringIO()) as printed,
        torch.random.fork_rng(),
    ):
        monkeypatch.setattr(sys, "argv", [name, *map(str, options)])
        runpy.run_path(str(ROOT / "training" / f"{name}.py"), run_name="__main__")
    return printed.getvalue()


@pytest.mark.usefixtures("training")
def test_it_trains_resumes_and_exports_an_encoder(tmp_path: Path, images: str) -> None:
    teacher = compact_teacher(tmp_path / "teacher.safetensors")
    options = ["--teacher", teacher, "--out", tmp_path / "run", "--images", images]
    options += ["--every", 1, "--batch", 2, "--crop", 64, "--float32", "--device", "cpu"]
    assert "resumed" not in as_a_process("distill", *options, "--steps", 1)
    assert "resumed at step 1" in here("distill", *options, "--steps", 2)
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    for row in rows:
        assert all(0 < error < 100 for layer in row if layer != "step" for error in row[layer])
    encoder = nstlib.load_encoder(weights=tmp_path / "run" / "vgg19-slim.safetensors")
    picture = nstlib.load_image("examples/contents/valley.jpg", size=64)
    features = encoder(picture, encoder.style_layers)
    assert [F.shape[1] for F in features.values()] == [16, 32, 64, 128, 128]
    assert all(torch.isfinite(F).all() and F.std() > 0 for F in features.values())


@pytest.mark.usefixtures("training")
def test_the_exported_encoder_is_the_student(tmp_path: Path) -> None:
    """Folding batch norm away changes nothing away from the border."""
    from student import Student

    generator = torch.Generator().manual_seed(1)
    student = Student(momentum=0.5)
    with torch.no_grad():
        for norm in student.norms.values():
            norm.weight.copy_(0.5 + torch.rand(norm.weight.shape, generator=generator))
            norm.bias.copy_(0.3 * torch.randn(norm.bias.shape, generator=generator))
        student.train()
        image = torch.rand(1, 3, 320, 320, generator=generator)
        for _ in range(4):
            student(image)  # settles the running statistics
        student.eval()
        expected = student(image)
    save_file({k: v.contiguous() for k, v in student.folded().items()}, tmp_path / "folded.safetensors")
    encoder = nstlib.load_encoder(weights=tmp_path / "folded.safetensors")
    found = encoder.maps(image, encoder.style_layers)
    for layer in encoder.style_layers:
        inside = slice(112 // encoder.strides[layer], -(112 // encoder.strides[layer]))
        torch.testing.assert_close(
            found[layer][..., inside, inside], expected[layer][..., inside, inside], rtol=1e-3, atol=1e-3
        )


@pytest.mark.usefixtures("training")
def test_the_decoders_training_resumes_and_exports(tmp_path: Path, images: str) -> None:
    options = ["--images", images, "--every", 1, "--batch", 2, "--crop", 64, "--float32", "--device", "cpu"]
    first = [*options, "--out", tmp_path / "run"]
    assert "resumed" not in here("decode", *first, "--steps", 1)
    assert "resumed at step 1" in here("decode", *first, "--steps", 2)
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    weights = str(tmp_path / "run" / "decoder.safetensors")
    second = [*options, "--out", tmp_path / "second", "--begin", weights, "--steps", 1]
    assert "moved relu4_1" in here("decode", *second)
    assert (tmp_path / "second" / "decoder.safetensors").exists()
    decoder = load_decoder(weights)
    x = decoder.decode(torch.rand(1, 128, 2, 3), 5)
    assert x.shape == (1, 3, 32, 48) and x.isfinite().all()


@pytest.mark.usefixtures("training")
def test_the_training_on_the_objective_resumes_and_exports(tmp_path: Path, images: str) -> None:
    options = ["--images", images, "--styles", images, "--out", tmp_path, "--begin", WEIGHTS]
    options += ["--every", 2, "--crop", 64, "--batch", 1, "--float32"]
    assert "resumed" not in here("objective", *options, "--steps", 2)
    assert "resumed at step 2" in here("objective", *options, "--steps", 3)
    trained, bundled = (
        load_decoder(path).state_dict() for path in (str(tmp_path / "decoder.safetensors"), None)
    )
    assert trained.keys() == bundled.keys() and all(value.isfinite().all() for value in trained.values())
    assert not torch.equal(trained["strengths"], bundled["strengths"])


@pytest.mark.usefixtures("training")
@pytest.mark.parametrize("how", ["linear", "bn", "poly", "wasserstein"])
def test_the_trained_chain_is_that_of_one_pass(how: str, content: Tensor, style: Tensor) -> None:
    from objective import chain, statistics

    encoder = nstlib.load_encoder()
    model, x = pipeline.OnePass(encoder), content[..., :48, :64]
    P, S = (encoder.maps(image, LEVELS) for image in (x, style))
    styles = [statistics(style), *(statistics(S[layer]) for layer in LEVELS)]
    methods = torch.eye(len(METHODS))[[METHODS.index(how)]]
    with torch.no_grad():
        trained = chain(model.decoder, x, P, styles, methods, torch.tensor([0.6 * pipeline.FULL])).clamp(0, 1)
    found = model(model.encode_content(x), [model.encode_style(style, how)], 0.6)
    torch.testing.assert_close(found, trained, rtol=0, atol=0.02)  # their ridges differ


@pytest.mark.usefixtures("training")
@pytest.mark.parametrize("how", ["linear", "bn", "wasserstein"])
def test_training_transports_features_as_the_library_does(how: str) -> None:
    from steps import statistics, transport

    generator = torch.Generator().manual_seed(2)
    F = torch.rand(2, 5, 9, 8, generator=generator, requires_grad=True)
    S = torch.rand(2, 5, 7, 7, generator=generator) ** 2
    made = transport(F, S, how)
    expected = nstlib.transport(F.detach().flatten(2), S.flatten(2), how)
    torch.testing.assert_close(made.detach().flatten(2), expected, rtol=1e-4, atol=1e-4)
    before, after = (float(statistics(x.detach().flatten(2), S.flatten(2), how)) for x in (F, made))
    assert after < 1e-3 < before
    made.sum().backward()
    assert F.grad is not None and bool((F.grad != 0).any())
