"""Training and `apply` lose nothing: interrupted, killed, misconfigured, or pointed at the originals."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

import nstlib
from nstlib.__main__ import main
from nstlib.encoders import WeightsError
from nstlib.feedforward.networks import METADATA, FeedForward, save_feedforward

TINY = {"size": 64, "batch": 1, "dtype": "float32", "plan": "light"}
CALL = ["--images", "examples/contents", "--size", "64", "--batch", "1", "--style-size", "64", "--quiet"]
CALL += ["--dtype", "float32", "--plan", "light"]
MOSAIC = "examples/styles/mosaic.jpg"


@pytest.fixture(scope="module", autouse=True)
def few_crops() -> Iterator[None]:
    """An objective is calibrated with 2 crops."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nstlib.feedforward.training.CALIBRATION_CROPS", 2)
        yield


@pytest.fixture(scope="module")
def mosaic() -> Tensor:
    return nstlib.load_image(MOSAIC, 64)


def interrupted(mosaic: Tensor, checkpoint: Path, steps: int = 3, **changes) -> nstlib.train_feedforward:
    """A training that was stopped: its checkpoint is there, its output is not."""
    options = TINY | {"iterations": 50} | changes
    training = nstlib.train_feedforward(mosaic, "examples/contents", name="mosaic.jpg", **options)
    for _ in range(steps):
        next(training)
    training.save(checkpoint)
    return training


@pytest.fixture(scope="module")
def begun(mosaic: Tensor, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The checkpoint of a training before its first step."""
    path = tmp_path_factory.mktemp("begun") / "net.part.pt"
    interrupted(mosaic, path, steps=0)
    return path.read_bytes()


def train(folder: Path, *more: str, style: str = MOSAIC) -> int:
    return main(["train", style, *CALL, "-o", str(folder / "net.safetensors"), *more])


def test_fewer_iterations_than_are_done_still_give_the_network(
    mosaic: Tensor, tmp_path: Path, capsys
) -> None:
    """As after Ctrl-C at step 3 of 50, or a kill between the last checkpoint and the output."""
    training = interrupted(mosaic, tmp_path / "net.part.pt")
    assert not training.network(mosaic).requires_grad
    assert train(tmp_path, "--iterations", "2") == 0
    said = capsys.readouterr().out
    assert (
        "resumed at step 3" in said
        and "planned for 50 iterations and now for 2" in said
        and "3 steps" in said
    )
    assert os.listdir(tmp_path) == ["net.safetensors"]
    network = nstlib.load_feedforward(tmp_path / "net.safetensors")
    assert network.metadata["iterations"] == 3
    for name, value in training.network.state_dict().items():
        assert torch.equal(network.state_dict()[name], value.half().float())


def test_the_checkpoint_outlives_an_output_that_cannot_be_written(
    mosaic: Tensor, tmp_path: Path, monkeypatch
) -> None:
    interrupted(mosaic, tmp_path / "net.part.pt", iterations=4)

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("nstlib.feedforward.training.save_feedforward", full)
    assert train(tmp_path, "--iterations", "4") == 2
    assert os.listdir(tmp_path) == ["net.part.pt"]
    monkeypatch.undo()
    assert train(tmp_path, "--iterations", "4") == 0
    assert os.listdir(tmp_path) == ["net.safetensors"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--method", "bn", "--gamma", "2"], "method 'gram' there, 'bn' here, gamma 1.0 there, 2.0 here"),
        (["--plan", "full"], "plan 'light' there, 'full' here"),
        (["--lr", "0.1", "--seed", "1", "--tv", "1"], "seed 0 there, 1 here"),
        (["--init-from", "strokes-gram"], "init_from None there, 'strokes-gram' here"),
        (["--style-size", "80"], "style mosaic.jpg, 64 x 64 px there, mosaic.jpg, 80 x 80 px here"),
        ([], "style mosaic.jpg, 64 x 64 px there, waves.jpg, 64 x 64 px here"),
    ],
    ids=str,
)
def test_other_settings_are_named_and_nothing_is_touched(
    changes: list[str], words: str, begun: bytes, tmp_path: Path, capsys
) -> None:
    checkpoint = tmp_path / "net.part.pt"
    checkpoint.write_bytes(begun)
    style = MOSAIC if changes else "examples/styles/waves.jpg"
    assert train(tmp_path, "--iterations", "9", *changes, style=style) == 2
    said = capsys.readouterr().err
    assert words in said and "other settings" in said and str(checkpoint) in said
    assert checkpoint.read_bytes() == begun and os.listdir(tmp_path) == ["net.part.pt"]


def test_a_beginning_that_is_no_longer_asked_for_is_named(mosaic: Tensor, tmp_path: Path, capsys) -> None:
    interrupted(mosaic, tmp_path / "net.part.pt", steps=0, init_from="strokes-gram")
    assert train(tmp_path) == 2
    assert "init_from 'strokes-gram' there, None here" in capsys.readouterr().err


def broken(kind: str, good: bytes, path: Path) -> None:
    if kind in ("text", "letter", "photo", "empty", "cut", "half"):
        data = {
            "text": b"hello\n",
            "letter": b"e",
            "photo": Path(MOSAIC).read_bytes(),
            "empty": b"",
            "cut": good[:-30],
            "half": good[: len(good) // 2],
        }
        path.write_bytes(data[kind])
        return
    state = torch.load(path, weights_only=True)
    if kind == "foreign":
        state = {"a": torch.ones(2)}
    elif kind == "list":
        state = [1]
    elif kind == "old":
        del state["training"]
    elif kind == "nan":
        state["network"]["last.weight"][0] = float("nan")
    elif kind == "shape":
        state["network"]["last.weight"] = torch.ones(2)
    elif kind == "optimiser":
        state["adam"]["state"][0]["exp_avg"] = torch.ones(2)
    elif kind == "words":
        state["done"] = "many"
    torch.save(state, path)


KINDS = [
    "text",
    "letter",
    "photo",
    "empty",
    "cut",
    "half",
    "foreign",
    "list",
    "old",
    "nan",
    "shape",
    "optimiser",
    "words",
]


def test_a_file_that_is_no_checkpoint_takes_one_line_and_stays(
    mosaic: Tensor, tmp_path: Path, capsys
) -> None:
    checkpoint = tmp_path / "net.part.pt"
    interrupted(mosaic, checkpoint, steps=1)
    good = checkpoint.read_bytes()
    for kind in KINDS:
        checkpoint.write_bytes(good)
        broken(kind, good, checkpoint)
        before = checkpoint.read_bytes()
        assert train(tmp_path) == 2, kind
        said = capsys.readouterr().err
        assert "cannot resume from" in said and "delete it to begin anew" in said, kind
        assert len(said.splitlines()) == 1 and "Traceback" not in said and "weights_only" not in said
        assert checkpoint.read_bytes() == before and os.listdir(tmp_path) == ["net.part.pt"]
    with pytest.raises(WeightsError, match="no checkpoint of a training"):
        nstlib.train_feedforward(mosaic, [mosaic], checkpoint=MOSAIC, **TINY)
    checkpoint.unlink()
    checkpoint.mkdir()
    assert train(tmp_path) == 2 and "it is a folder" in capsys.readouterr().err


def test_numbers_that_are_not_finite_are_a_failure_and_overwrite_nothing(
    mosaic: Tensor, tmp_path: Path, capsys
) -> None:
    checkpoint, output = tmp_path / "net.part.pt", tmp_path / "net.safetensors"
    output.write_bytes(b"the network of yesterday")
    interrupted(mosaic, checkpoint, steps=1, lr=1e30)
    good = checkpoint.read_bytes()
    assert train(tmp_path, "--iterations", "6", "--lr", "1e30") == 1
    assert "stopped being a finite number at step" in capsys.readouterr().err
    assert checkpoint.read_bytes() == good and output.read_bytes() == b"the network of yesterday"
    network = FeedForward("light")
    for value, error in ((float("nan"), "NaN"), (1e6, "too large")):  # float16 ends at 65504
        network.last.weight.data[0] = value
        with pytest.raises(FloatingPointError, match=error):
            save_feedforward(network, output)
    assert output.read_bytes() == b"the network of yesterday"
    training = interrupted(mosaic, tmp_path / "other.pt", steps=1)
    training.network.last.weight.data[0] = float("inf")
    with pytest.raises(FloatingPointError, match="weights stopped being finite at step 1"):
        training.save(checkpoint)
    assert checkpoint.read_bytes() == good


def test_the_style_and_the_first_network_are_not_overwritten(tmp_path: Path, capsys) -> None:
    known = tmp_path / "known.safetensors"
    save_feedforward(FeedForward("light"), known)
    before = known.read_bytes()
    assert main(["train", MOSAIC, *CALL, "-o", str(known), "--init-from", str(known)]) == 2
    assert "would overwrite the input" in capsys.readouterr().err and known.read_bytes() == before
    assert main(["train", MOSAIC, *CALL, "-o", str(tmp_path / "no" / "net.safetensors")]) == 2
    assert "does not exist" in capsys.readouterr().err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    photo = Image.open("examples/contents/harbour.jpg").resize((40, 32))
    for suffix in ("jpg", "png", "gif", "tga", "avif"):
        if suffix != "avif" or ".avif" in Image.registered_extensions():
            photo.save(folder / f"{suffix}.{suffix}")
    photo.save(folder / "two.gif", save_all=True, append_images=[photo.rotate(180)])
    for name in ("notes.txt", "clip.heic", ".hidden.jpg"):
        (folder / name).write_text("no image")
    (folder / "sub.png").mkdir()
    return folder


def test_apply_reads_every_format_and_lists_what_it_skips(folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert main(["apply", "strokes-gram", str(folder), "-o", str(out), "--quiet"]) == 0
    said, made = capsys.readouterr().out, sorted(os.listdir(out))
    names = ["avif.avif.png", "gif.gif.png", "jpg.jpg", "png.png", "tga.tga.png", "two.gif.png"]
    assert made == [name for name in names if name != "avif.avif.png" or (folder / "avif.avif").exists()]
    assert f"{len(made)} of {len(made)} images" in said and "left out" not in said
    assert "3 skipped, no image files of a known format: clip.heic, notes.txt, sub.png" in said
    first = nstlib.load_feedforward("strokes-gram")(nstlib.load_image(folder / "two.gif"))
    assert (nstlib.load_image(out / "two.gif.png") - first).abs().max() < 1 / 255
    assert nstlib.read_recipe(out / "two.gif.png")["inputs"]["content"]["name"] == "two.gif"
    (folder / "gif.gif.png").write_bytes((folder / "png.png").read_bytes())
    assert main(["apply", "strokes-gram", str(folder), "-o", str(out), "--quiet"]) == 1
    captured = capsys.readouterr()
    assert "left out gif.gif: its result would replace that of gif.gif.png" in captured.err
    assert nstlib.load_image(out / "gif.gif.png").equal(nstlib.load_image(out / "png.png"))
    assert "; 1 left out; 3 skipped" in captured.out


def test_apply_does_not_overwrite_its_folder(folder: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    for target in (str(folder), "in", "link", "./absent/../in/.", "in/sub.png/.."):
        assert main(["apply", "strokes-gram", str(folder), "-o", target, "--quiet"]) == 2, target
        assert "would overwrite" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert not (tmp_path / "absent").exists()
    assert main(["apply", "strokes-gram", "in", "-o", "in/jpg.jpg", "--quiet"]) == 2
    assert "is no folder" in capsys.readouterr().err
    assert main(["apply", "strokes-gram", "absent", "-o", "out"]) == 2
    assert "no such image or folder: absent" in capsys.readouterr().err


def test_a_network_that_is_not_finite_paints_no_black_image(tmp_path: Path, capsys) -> None:
    path, out = tmp_path / "net.safetensors", tmp_path / "out.png"
    network = FeedForward("light").requires_grad_(False)
    for value, code, words in (
        (float("nan"), 2, "NaN or infinite"),
        (3e38, 1, "gave NaN or infinite values for"),
    ):
        network.colours.weight.data[:], network.last.weight.data[:] = value, -value
        network.body[0].norm.weight.data[:] = abs(value)
        state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        save_file(state, path, {METADATA: json.dumps(network.metadata)})
        assert (
            main(["apply", str(path), "examples/contents/harbour.jpg", "-o", str(out), "--size", "48"])
            == code
        )
        assert words in capsys.readouterr().err and not out.exists()
