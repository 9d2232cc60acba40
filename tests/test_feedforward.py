"""Networks for one style: they train, resume, share their work, are saved and applied."""

import dataclasses
import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from app_server import free_port
from torch import Tensor

import nstlib
from nstlib.__main__ import main
from nstlib.encoders import WeightsError
from nstlib.feedforward.crops import Crops
from nstlib.feedforward.distributed import Group
from nstlib.feedforward.layers import Layer
from nstlib.feedforward.networks import FOLDER, PLANS, FeedForward, bundled_networks, save_feedforward
from nstlib.images import ImageError
from nstlib.synthesis.pixels import encode
from nstlib.synthesis.regions import build_objective

ROOT = Path(__file__).parent.parent
TINY = dict(size=64, batch=2, dtype="float32")


@pytest.fixture(autouse=True)
def few_crops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """An objective is calibrated with 2 crops, except where another process calibrates its own."""
    if "two_processes" not in request.node.name:
        monkeypatch.setattr("nstlib.feedforward.training.CALIBRATION_CROPS", 2)


def parameters(network: FeedForward) -> Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def changed(network: FeedForward, amount: float = 0.05) -> FeedForward:
    """With a change that is not zero."""
    generator = torch.Generator().manual_seed(0)
    for p in network.parameters():
        p.data += amount * torch.randn(p.shape, generator=generator)
    return network.eval()


def evened(x: Tensor, mean: float = 0.5, deviation: float = 0.25) -> Tensor:
    """Each colour of each picture at the same mean and contrast, sides filled up to multiples of 4."""
    down, across = (-side % 4 for side in x.shape[2:])
    full = torch.nn.functional.pad(x, (0, across, 0, down), mode="replicate").double()
    scale = full.std((2, 3), correction=0, keepdim=True)
    picture = (full - full.mean((2, 3), keepdim=True)) / scale * deviation + mean
    return picture[..., : x.shape[2], : x.shape[3]].clamp(0, 1).float()


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("size", [(16, 16), (33, 46)])
def test_a_network_keeps_the_size_and_strength_is_free(plan: str, size: tuple[int, int]) -> None:
    network = FeedForward(plan)
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1)) * 0.5 + 0.25
    torch.testing.assert_close(network(x), evened(x), rtol=0, atol=1e-3)  # before training
    network = changed(network, 0.01)
    whole, half = network(x), network(x, 0.5)
    assert whole.shape == x.shape and (whole - x).abs().max() > 1e-4
    assert torch.equal(network(x, 0.0), x)
    inside = (whole > 0) & (whole < 1)
    torch.testing.assert_close(half[inside], ((x + whole) / 2)[inside])
    with pytest.raises(ValueError, match="strength must lie"):
        network(x, 1.5)
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\)"):
        network(x[0])


def test_a_photographs_own_mean_and_contrast_do_not_show() -> None:
    """The style's colours come out the same, however dark or pale the photograph: what its network is for."""
    network = changed(FeedForward("light"))
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    scale, shift = (torch.tensor(v).view(1, 3, 1, 1) for v in ([0.3, 0.5, 0.2], [0.6, 0.1, 0.0]))
    torch.testing.assert_close(network(scale * x + shift), network(x), rtol=0, atol=0.02)
    assert (network(x) - x).abs().mean() > 0.05


@pytest.mark.parametrize("plan", ["light", "sharp"])
def test_nothing_tells_where_the_border_is(plan: str) -> None:
    """A picture that is the same at each place comes out the same at each place, corners included."""
    network = changed(FeedForward(plan))
    stripes = torch.tensor([0.3, 0.8, 0.6, 0.5]).repeat(12).view(1, 1, 1, 48).expand(1, 3, 48, 48)
    picture = network(stripes)
    torch.testing.assert_close(picture, picture[:, :, 24:25].expand_as(picture), rtol=0, atol=1e-5)
    assert picture.std() > 0.01


def test_a_batchs_gradient_is_the_mean_of_its_pictures() -> None:
    """Also in the memory order that training uses, where torch's own instance norm got it wrong."""
    network = changed(FeedForward(), 0.01).train().double().to(memory_format=torch.channels_last)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 0.5 + 0.25
    x = x.double()  # in float32 a rounding may turn a ReLU on or off

    def gradient(x: Tensor) -> Tensor:
        network.zero_grad()
        slope = torch.linspace(0, 1, 3 * 32 * 32, dtype=x.dtype).view(1, 3, 32, 32)
        (network(x) * slope).sum().div(len(x)).backward()
        return torch.cat([p.grad.flatten() for p in network.parameters()])

    mean = (gradient(x[:1]) + gradient(x[1:])) / 2
    assert (gradient(x) - mean).norm() < 1e-12 * mean.norm()


@pytest.mark.parametrize("method", ["linear", "gram", "bn", "gaussian", "wasserstein", "bn:0.7+poly:0.3"])
def test_training_lowers_the_objective_for_every_method(style: Tensor, content: Tensor, method: str) -> None:
    options = TINY | {"batch": 1, "iterations": 10, "lr": 0.01}
    training = nstlib.train_feedforward(style, [content], method=method, **options)
    steps = list(training)
    assert [step.index for step in steps] == list(range(1, 11))
    first, last = (sum(s.loss for s in part) / 3 for part in (steps[:3], steps[-3:]))
    assert last < 0.9 * first
    layers = {"content/relu4_2", *(f"style/relu{i}_1" for i in range(1, 6))}
    assert set(steps[0].terms) == layers | {"palette/colours", "palette/nearest", "palette/grain"}
    assert steps[-1].image.shape == (1, 3, 64, 64)
    assert training.network.metadata["method"] == method


def test_the_terms_are_those_of_an_optimisation(style: Tensor, content: Tensor) -> None:
    """For each picture of a batch what the objective says of it alone, and then the mean."""
    training = nstlib.train_feedforward(style, [content], iterations=1, palette=0.0, **TINY)
    x = training.crops.batch(torch.Generator().manual_seed(3), 3, slice(None))[..., :32, :32]
    picture = (x + 0.1).clamp(0, 1)
    found = training.terms(x, picture)
    sums = dict.fromkeys(found, 0.0)
    for i in range(3):
        encoder, objective = training.encoder, training.objective
        P = encoder(x[i : i + 1], ["relu4_2"])
        F = encoder(picture[i : i + 1], objective.layers)
        for term in objective.style:
            sums[f"style/{term.layer}"] += float(objective.beta * objective.gamma * term(F)) / 3
        error = (F["relu4_2"] - P["relu4_2"]).square().sum() / P["relu4_2"].square().sum()
        sums["content/relu4_2"] += float(error) / 3
    assert {k: float(v.detach()) for k, v in found.items()} == pytest.approx(sums, rel=1e-4)


def test_it_resumes_where_it_was(style: Tensor, content: Tensor, tmp_path: Path) -> None:
    options = TINY | {"iterations": 4, "every": 2, "batch": 1}
    whole = nstlib.train_feedforward(style, [content], **options)
    losses = [step.loss for step in whole]
    first = nstlib.train_feedforward(style, [content], checkpoint=tmp_path / "state.pt", **options)
    for _, step in zip(range(2), first, strict=False):
        assert step.loss == pytest.approx(losses[step.index - 1], rel=1e-4)
    out = tmp_path / "net.safetensors"
    second = nstlib.train_feedforward(
        style, [content], checkpoint=tmp_path / "state.pt", output=out, **options
    )
    assert [step.index for step in second] == [3, 4]
    torch.testing.assert_close(parameters(second.network), parameters(whole.network), rtol=1e-3, atol=1e-4)
    loaded = nstlib.load_feedforward(out)
    assert torch.equal(parameters(loaded), parameters(second.network).half().float())
    assert loaded.metadata["iterations"] == 4 and loaded.metadata["style"] == ""


def test_it_begins_from_another_network(style: Tensor, content: Tensor, tmp_path: Path) -> None:
    known = tmp_path / "known.safetensors"
    save_feedforward(changed(FeedForward()), known)
    training = nstlib.train_feedforward(style, [content], init_from=known, iterations=2, **TINY)
    assert torch.equal(parameters(training.network), parameters(nstlib.load_feedforward(known)))
    assert training.network.metadata["init_from"] == "known"
    steps = list(training)
    assert all(math.isfinite(step.loss) for step in steps)
    assert not torch.equal(parameters(training.network), parameters(nstlib.load_feedforward(known)))
    out = tmp_path / "x.safetensors"
    assert main(train_command(out, "--init-from", str(known))) == 0
    assert nstlib.load_feedforward(out).metadata["init_from"] == "known"
    with pytest.raises(ValueError, match="has the plan 'sharp', not 'full': choose its"):
        nstlib.train_feedforward(style, [content], init_from=known, plan="full", **TINY)
    with pytest.raises(WeightsError, match="no such network: nobody"):
        nstlib.train_feedforward(style, [content], init_from="nobody", **TINY)


def test_draws_do_not_depend_on_who_asks(content: Tensor) -> None:
    pictures = Crops([content, content.flip(2)], 64)

    def batch(mine: slice) -> Tensor:
        return pictures.batch(torch.Generator().manual_seed(5), 4, mine)

    parts = [batch(Group(rank, 2).slice(4)) for rank in range(2)]
    assert torch.equal(torch.cat(parts), batch(slice(None)))
    with pytest.raises(ValueError, match="cannot be shared equally by 3"):
        Group(0, 3).slice(4)
    assert sorted([*Group(0, 2).share("abcde"), *Group(1, 2).share("abcde")]) == list("abcde")


@pytest.mark.parametrize(("plan", "measured"), [("light", 808e6), ("sharp", 968e6)])
def test_the_estimated_memory_is_what_the_benchmark_measured(plan: str, measured: float) -> None:
    estimate = FeedForward(plan).cpu().estimate_memory((1024, 1024))
    assert estimate == pytest.approx(measured, rel=0.05)


def test_crops_of_a_single_colour_are_replaced(style: Tensor, content: Tensor) -> None:
    """Without variance, each instance norm amplifies the gradient until it overflows."""
    flat = torch.full((1, 3, 80, 80), 0.2)
    images = Crops([flat, content], 64)
    drawn = images.batch(torch.Generator().manual_seed(1), 8, slice(None))
    assert float(drawn.std((-2, -1)).amax(1).min()) > 1e-3
    assert torch.equal(drawn, images.batch(torch.Generator().manual_seed(1), 8, slice(None)))
    options = dict(method="bn", iterations=3, lr=0.01) | TINY | {"batch": 1}
    losses = [step.loss for step in nstlib.train_feedforward(style, [flat, content], **options)]
    assert all(map(math.isfinite, losses))
    with pytest.raises(ImageError, match="show a single colour: give photos"):
        nstlib.train_feedforward(style, [flat], **options)


def test_an_unreadable_picture_is_left_out(tmp_path: Path, capsys) -> None:
    shutil.copy(ROOT / "examples/contents/valley.jpg", tmp_path / "b.jpg")
    (tmp_path / "a.jpg").write_text("no picture")
    pictures = Crops(tmp_path, 64)
    with pytest.warns(RuntimeWarning, match="left out: cannot read"):
        assert pictures.image(0).shape[1] == 3
    given = ["--images", str(tmp_path), "--batch", "8", "--quiet"]
    assert main(train_command(tmp_path / "n.safetensors", *given)) == 0
    assert re.fullmatch(r"nstlib: left out: cannot read .*a.jpg as an image.*\n", capsys.readouterr().err)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no image in"):
        Crops(tmp_path / "empty", 64)


def train_command(out: Path, *more: str) -> list[str]:
    command = ["train", "examples/styles/mosaic.jpg", "--images", "examples/contents", "-o", str(out)]
    command += [
        "--iterations",
        "3",
        "--size",
        "64",
        "--batch",
        "2",
        "--style-size",
        "96",
        "--dtype",
        "float32",
    ]
    return [*command, "--quiet", *more]


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the two have: sums are shared among threads in another order
    assert main(train_command(one)) == 0
    torch.set_num_threads(threads)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launch += ["--master-port", str(free_port()), "-m", "nstlib", *train_command(two, "--distributed")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(
        launch, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.count("3 steps") == 1  # one of them speaks
    networks = [parameters(nstlib.load_feedforward(path)) for path in (one, two)]
    torch.testing.assert_close(networks[0], networks[1], rtol=2e-3, atol=2e-5)
    start = parameters(
        nstlib.train_feedforward(torch.rand(1, 3, 64, 64), [torch.rand(1, 3, 64, 64)], **TINY).network
    )
    assert (networks[0] - start).norm() > 10 * (networks[0] - networks[1]).norm()


def test_distributed_without_torchrun_is_named(tmp_path: Path, capsys) -> None:
    assert main(train_command(tmp_path / "x.safetensors", "--distributed")) == 2
    assert "needs torchrun" in capsys.readouterr().err


def test_apply_to_a_folder(tmp_path: Path, capsys) -> None:
    model, folder, out = tmp_path / "net.safetensors", tmp_path / "in", tmp_path / "out"
    save_feedforward(changed(FeedForward("light", {"method": "bn"})), model)
    folder.mkdir()
    for name in ("harbour", "valley"):
        nstlib.save_image(nstlib.load_image(f"examples/contents/{name}.jpg", 64), folder / f"{name}.png")
    assert main(["apply", str(model), str(folder), "-o", str(out), "--quiet"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["harbour.png", "valley.png"]
    picture = nstlib.load_image(out / "valley.png")
    expected = nstlib.load_feedforward(model)(nstlib.load_image(folder / "valley.png"))
    torch.testing.assert_close(picture, expected, rtol=0, atol=0.51 / 255)
    assert nstlib.read_recipe(out / "valley.png")["network"]["method"] == "bn"
    (folder / "broken.jpg").write_text("no picture")
    assert main(["apply", str(model), str(folder), "-o", str(out), "--quiet"]) == 1
    captured = capsys.readouterr()
    assert "broken.jpg" in captured.err and "2 of 3 images; 1 left out" in captured.out


def test_apply_to_one_image_and_mistakes(tmp_path: Path, capsys) -> None:
    model, out = tmp_path / "net.safetensors", tmp_path / "out.png"
    save_feedforward(FeedForward("light"), model)
    assert main(["apply", str(model), "examples/contents/valley.jpg", "-o", str(out), "--size", "64"]) == 0
    assert max(nstlib.load_image(out).shape) == 64
    assert main(["apply", "nobody", "examples/contents/valley.jpg", "-o", str(out)]) == 2
    assert "no such network: nobody" in capsys.readouterr().err
    (tmp_path / "bad.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(WeightsError, match="is no network that nstlib trained"):
        nstlib.load_feedforward(tmp_path / "bad.safetensors")


@pytest.mark.parametrize("name", bundled_networks())
def test_shipped_networks(name: str) -> None:
    """Small, with a card, and with an objective well under the photograph's, on pictures it never saw."""
    path = FOLDER / f"{name}.safetensors"
    network = nstlib.load_feedforward(name)
    assert path.stat().st_size <= 1e6
    assert json.loads(json.dumps(network.metadata)) == network.metadata
    style = nstlib.load_image(f"examples/styles/{network.metadata['style']}", 384)  # as it was learnt
    settings = nstlib.Settings(method=network.metadata["method"], gamma=network.metadata["gamma"], levels=1)
    totals = torch.zeros(2)
    for content in ("harbour", "valley", "still_life"):
        photograph = nstlib.load_image(f"examples/contents/{content}.jpg", 192)
        encoder = nstlib.load_encoder()
        objective = build_objective(settings, encoder, photograph, (style,))
        for i, image in enumerate((network(photograph), photograph)):
            features = encode(encoder, image, objective.layers)
            totals[i] += sum(float(v) for v in objective(image, features).values())
    assert totals[0] < 0.2 * totals[1]


def test_four_methods_are_shipped() -> None:
    assert len({nstlib.load_feedforward(name).metadata["method"] for name in bundled_networks()}) >= 4


def test_mistakes_are_named(style: Tensor, content: Tensor, tmp_path: Path) -> None:
    for options, message in (
        (dict(size=66), "size must be a multiple of 4"),
        (dict(gamma=0.0), "gamma must lie in"),
        (dict(plan="heavy"), "plan must be one of full, light, sharp, got 'heavy'"),
        (dict(method="cubist"), "unknown method 'cubist'"),
    ):
        with pytest.raises(ValueError, match=message):
            nstlib.train_feedforward(style, [content], **options)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        nstlib.train_feedforward(style, tmp_path / "nowhere")


def test_a_batch_in_few_operations_is_the_mean_of_its_images(style: Tensor, content: Tensor) -> None:
    """What a GPU computes: the objective's values and gradients, and the instance norm."""
    for method in ("gram", "bn", "gaussian", "linear", "bn:0.7+wasserstein:0.3"):
        training = nstlib.train_feedforward(style, [content], method=method, tv=0.1, iterations=1, **TINY)
        x = training.crops.batch(torch.Generator().manual_seed(3), 3, slice(None))[..., :32, :32]
        found = []
        for at_once in (False, True):
            image = (x + 0.1).clamp(0, 1).requires_grad_(True)
            features = encode(training.encoder, image, training.objective.layers)
            targets = training.encoder(x, training.objective.content)
            objective = dataclasses.replace(training.objective, content=targets)
            terms = objective.batch_means(image, features) if at_once else training.terms(x, image)
            torch.stack(list(terms.values())).sum().backward()
            found.append(({name: value.detach() for name, value in terms.items()}, image.grad))
        torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-7)
        assert (found[0][1] - found[1][1]).norm() < 1e-3 * found[0][1].norm()
    layer = Layer(3, 4)
    x = torch.rand(2, 3, 16, 12, generator=torch.Generator().manual_seed(1))
    y = torch.nn.functional.group_norm(layer.conv(x), 4, layer.norm.weight, layer.norm.bias, layer.norm.eps)
    torch.testing.assert_close(layer.normalize(layer.conv(x)), y, rtol=1e-4, atol=1e-5)
