"""Exports one pass as three graphs, and a network for one style as one graph."""

import copy
import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nstlib.alignment.discrepancy import Discrepancy, Fusion
from nstlib.alignment.methods import method as parse_method
from nstlib.encoders import load_encoder
from nstlib.export.files import BOUND, WEIGHTS, Sessions, require_onnx, save
from nstlib.export.tracing import Mixture, trace, traceable
from nstlib.feedforward.layers import Layer
from nstlib.feedforward.networks import FeedForward
from nstlib.feedforward.pipeline import Encoded, OnePass, Style
from nstlib.synthesis.pyramid import resize_image
from nstlib.version import check_folder, check_writable, use_torch_defaults

METHODS = ("linear", "bn", "poly", "wasserstein")  # methods whose transport maps need only matrix products


@use_torch_defaults(gradients=False)
def export_onepass(
    folder: str | os.PathLike[str], methods: Sequence[str] = METHODS, *, bound: float = BOUND
) -> float:
    """Writes the networks that `onepass` runs with levels=1 and palette=0 as ONNX files.

    Args:
        folder: folder for style.onnx, content.onnx, image.onnx and weights.bin. It is created if missing.
        methods: the methods of image.onnx, which can compute any fusion of them. Its input `weights` has a
            number >= 0 for each method. A method of weight 0 takes no time.
        bound: largest difference from PyTorch, for pixels in 0 … 1. Above it, nothing is written.

    Returns:
        The largest difference from PyTorch, over all methods at three strengths.

    Raises:
        MissingPackageError: onnx, onnxscript or onnxruntime is missing.
        ValueError: a method is unknown, or not one of `METHODS`.
        OSError: the files cannot be written. This is checked before any work.
        FloatingPointError: the difference is above `bound`.
    """
    require_onnx()
    check_folder(folder, WEIGHTS, *(f"{name}.onnx" for name in ("style", "content", "image")))
    parts = [exportable(text) for text in methods]
    everything = Fusion(tuple((part, 1.0) for part in parts))
    model = OnePass(load_encoder(device="cpu", dtype="float32"))
    content, style = example(0, 108, 139), example(1, 100, 131)
    encoded = model.encode_content(content)
    images = _tensors(encoded)
    numbers = _flat(model.encode_style(style, everything).summaries)
    weights = torch.full((len(parts),), 1 / len(parts), dtype=torch.float32)

    def make_image(
        content: Tensor, images: list[Tensor], numbers: list[Tensor], strength: Tensor, weights: Tensor
    ) -> Tensor:
        t = strength.item()
        torch._check(t != 1)  # type: ignore[no-untyped-call] # the formula also holds at 1
        mixed: Any = tuple((part, weights[k]) for k, part in enumerate(parts))
        return model(_filled(encoded, images, content), [Style(Mixture(mixed), _nested(names, numbers))], t)

    names = list(numbers)
    inputs = (content, list(images.values()), list(numbers.values()), torch.tensor(0.5), weights)
    with traceable():
        models = {
            "style": trace(
                lambda style: list(_flat(model.encode_style(style, everything).summaries).values()),
                (style,),
                ["style"],
                names,
            ),
            "content": trace(
                lambda content: list(_tensors(model.encode_content(content)).values()),
                (content,),
                ["content"],
                list(images),
            ),
            "image": trace(
                make_image, inputs, ["content", *images, *names, "strength", "weights"], ["image"]
            ),
        }

    def compare(sessions: Sessions) -> float:
        content, style = example(2, 90, 75), example(3, 77, 98)  # sizes that differ from the traced ones
        known = {"content": content, **sessions["content"](content=content), **sessions["style"](style=style)}
        differences = []
        for k, part in enumerate(parts):
            wanted = model.encode_content(content), [model.encode_style(style, str(part))]
            for strength in (0.0, 0.6, 1.0):
                feeds = {"strength": torch.tensor(strength), "weights": torch.eye(len(parts))[k]}
                made = sessions["image"](**known, **feeds)["image"]
                differences.append(float((made - model(*wanted, strength)).abs().max()))
        return max(differences)

    return save(models, Path(folder), compare, bound)


@use_torch_defaults(gradients=False)
def export_feedforward(network: FeedForward, path: str | os.PathLike[str], *, bound: float = BOUND) -> float:
    """Writes a network for one style as one ONNX file with the inputs `content` and `strength`.

    Args:
        network: a network that `load_feedforward` returned.
        path: the .onnx file to write.
        bound: as in `export_onepass`.

    Returns, Raises: as `export_onepass`, and ValueError if `path` does not end in .onnx.
    """
    require_onnx()
    path = check_writable(path)
    if path.suffix != ".onnx":
        raise ValueError(f"cannot save {path}: the name of an exported network must end in .onnx")
    model = copy.deepcopy(network).cpu().eval()
    for layer in [layer for layer in model.modules() if isinstance(layer, Layer)]:
        norm = nn.InstanceNorm2d(layer.norm.num_features, eps=layer.norm.eps, affine=True)
        norm.weight, norm.bias = layer.norm.weight, nn.Parameter(torch.zeros_like(layer.norm.weight))
        if layer.norm.bias is not None:
            norm.bias = layer.norm.bias
        layer.norm = norm.requires_grad_(False)  # type: ignore[assignment] # equal for one image

    def make_image(content: Tensor, strength: Tensor) -> Tensor:
        t: Any = strength.item()
        return model(content, t)  # type: ignore[no-any-return]

    inputs = example(0, 61, 75), torch.tensor(0.5)
    with traceable():
        traced = trace(make_image, inputs, ["content", "strength"], ["image"])

    def compare(sessions: Sessions) -> float:
        image, reference = example(2, 46, 50), copy.deepcopy(network).cpu()
        made = [sessions[path.stem](content=image, strength=torch.tensor(t))["image"] for t in (0.4, 1.0)]
        wanted = [reference(image, t) for t in (0.4, 1.0)]
        return float((torch.cat(made) - torch.cat(wanted)).abs().max())

    return save({path.stem: traced}, path.parent, compare, bound, shared=False)


def exportable(text: str) -> Discrepancy:
    d = parse_method(text)
    if d.name not in METHODS:
        raise ValueError(f"method {text!r} cannot be exported: choose from {', '.join(METHODS)}")
    return d


def example(seed: int, height: int, width: int) -> Tensor:
    """Returns an image (1, 3, height, width) of smooth shapes with a little noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 9, 11, generator=generator, dtype=torch.float32)
    noise = torch.rand(1, 3, height, width, generator=generator, dtype=torch.float32)
    return torch.lerp(resize_image(coarse, height, width), noise, 0.1)


def _tensors(encoded: Encoded) -> dict[str, Tensor]:
    """Returns the tensors of `encoded`, named by their field and their index in it."""
    held = {f.name: getattr(encoded, f.name) for f in dataclasses.fields(encoded) if f.name != "size"}
    return {f"{name}{k}": tensor for name, tensors in held.items() for k, tensor in enumerate(tensors)}


def _filled(like: Encoded, tensors: Sequence[Tensor], content: Tensor) -> Encoded:
    """Returns an `Encoded` with these tensors. The inverse of `_tensors`."""
    left, fields = iter(tensors), [f.name for f in dataclasses.fields(like) if f.name != "size"]
    held: dict[str, Any] = {name: tuple(next(left) for _ in getattr(like, name)) for name in fields}
    return dataclasses.replace(like, size=content.shape[2:], **held)


def _flat(summaries: Mapping[str, Any], before: str = "") -> dict[str, Tensor]:
    """{"relu1_1": {"0": {"mean": μ}}} → {"relu1_1.0.mean": μ}."""
    found: dict[str, Tensor] = {}
    for name, value in summaries.items():
        found |= {before + name: value} if isinstance(value, Tensor) else _flat(value, f"{before}{name}.")
    return found


def _nested(names: Sequence[str], tensors: Sequence[Tensor]) -> dict[str, Any]:
    """The inverse of `_flat`."""
    result: dict[str, Any] = {}
    for name, tensor in zip(names, tensors, strict=True):
        *path, last = name.split(".")
        place = result
        for step in path:
            place = place.setdefault(step, {})
        place[last] = tensor
    return result
