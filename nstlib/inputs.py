"""Checks of images and masks as arguments, and the entries that a recipe stores for them.

An image argument is a floating-point tensor (1, 3, H, W) with values in [0, 1]. `check_image` returns it as a
float32 copy without gradient. Values that exceed the bounds by at most `SLACK` are clamped, because
arithmetic in other programs causes such overshoot. For larger values, the message suggests their range.
This module imports only torch.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, TypeGuard

import torch
from torch import Tensor

SLACK = 1e-3  # overshoot that is clamped; an 8-bit step is 3.9e-3
MOST_STYLES = 64  # in one run, so that recipes stay short
LONGEST_NAME = 80  # characters of a file's name in a recipe


def check_image(value: object, name: str, batch: bool = False, copy: bool = True) -> Tensor:
    """Returns an image argument as a float32 copy (1, 3, H, W) in [0, 1] that requires no gradient.

    Args:
        value: the argument. name: what to call it in a message.
        batch: whether (B, 3, H, W) is accepted, too.
        copy: False avoids the copy if neither the dtype nor any value needs a change.

    Raises:
        TypeError: the argument is not a dense tensor.
        ValueError: its shape, dtype or range of values is not that of an image.
    """
    image = _tensor(value, name)
    shape = tuple(image.shape)
    if len(shape) != 4 or shape[1] != 3 or 0 in shape or (shape[0] > 1 and not batch):
        wanted = "an image (B, 3, H, W)" if batch else "an image (1, 3, H, W)"
        raise ValueError(f"{name} must be {wanted}, got shape {shape}{_reshaping(shape)}")
    if not image.is_floating_point():
        raise ValueError(
            f"{name} must hold floating-point values in [0, 1], got {image.dtype}: {_converting(image)}"
        )
    image = image.detach().float()
    low, high = (float(bound) for bound in image.aminmax())
    if not (abs(low) < float("inf") and abs(high) < float("inf")):  # also False for NaN
        raise ValueError(f"{name} must hold finite values in [0, 1], and some are NaN or infinite")
    if low < -SLACK or high > 1 + SLACK:
        raise ValueError(f"{name} must lie in [0, 1], got {low:.4g} … {high:.4g}: {_ranging(low, high)}")
    checked = image.clamp(0, 1) if copy or low < 0 or high > 1 else image
    checked.source = getattr(value, "source", None)  # type: ignore[attr-defined]
    return checked


def check_images(value: object, name: str, copy: bool = True) -> tuple[Tensor, ...]:
    """Returns one or several images as a tuple, checked by `check_image`.

    Raises as `check_image`, and ValueError for an empty list."""
    single = isinstance(value, Tensor | str | bytes | os.PathLike) or hasattr(value, "__array_interface__")
    images = [value] if single or not isinstance(value, Iterable) else list(value)
    if not images:
        raise ValueError(f"{name}: give at least one image")
    return tuple(
        check_image(image, name if len(images) == 1 else f"{name} {k}", copy=copy)
        for k, image in enumerate(images, 1)
    )


def check_masks(masks: Iterable[object]) -> tuple[Tensor, ...]:
    """Returns masks, each (H, W) or (1, 1, H, W) with values >= 0, as float32 tensors (1, 1, H, W).

    Raises TypeError if a mask is not a tensor, ValueError for other shapes or values or if all are empty.
    """
    if getattr(masks, "ndim", 3) != 3:  # (K, H, W) holds K masks
        raise ValueError(f"masks must be a list, got shape {tuple(masks.shape)}: put it in a list, [mask]")  # type: ignore[attr-defined]
    checked = []
    for k, value in enumerate(masks, 1):
        mask = _tensor(value, f"mask {k}", "images.load_mask")
        shape = tuple(mask.shape)
        mask = mask[None, None] if len(shape) == 2 else mask
        if mask.dim() != 4 or mask.shape[:2] != (1, 1) or mask.numel() == 0:
            remedy = (
                ": use nstlib.images.load_mask, or mask.mean(1, keepdim=True)" if shape[:2] == (1, 3) else ""
            )
            raise ValueError(f"mask {k} must be (H, W) or (1, 1, H, W), got shape {shape}{remedy}")
        copy = mask.detach().to(torch.float32, copy=True)
        if not bool(torch.isfinite(copy).all() and (copy >= 0).all()):
            raise ValueError(f"mask {k} must hold finite numbers >= 0")
        copy.source = getattr(value, "source", None)  # type: ignore[attr-defined]
        checked.append(copy)
    if checked and not any(bool(mask.any()) for mask in checked):
        raise ValueError("all masks are empty, so no style would be applied")
    return tuple(checked)


def check_styles(styles: int, masks: int, weights: Sequence[float]) -> None:
    """Raises ValueError if the number of masks or of weights does not fit the number of styles."""
    if styles > MOST_STYLES:
        raise ValueError(f"at most {MOST_STYLES} styles can be used at once, got {styles}")
    if masks and masks != styles:
        raise ValueError(f"need one mask for each style: {masks} for {styles}")
    if masks and weights:
        raise ValueError("style_weights mix styles everywhere, masks place them: give one or the other")
    if weights and len(weights) != styles:
        raise ValueError(f"style_weights must hold one weight for each style: {len(weights)} for {styles}")


def check_side(
    size: Sequence[int], name: str, strides: Mapping[str, int], layers: Iterable[str], scale: float = 1.0
) -> None:
    """Raises ValueError if an image is too small to have a position at each of the layers.

    size: (H, W) in pixels, before the image is resized by `scale`. strides: stride of each layer, in pixels.
    """
    deepest, (height, width) = max(layers, key=lambda layer: strides[layer]), (round(n * scale) for n in size)
    if min(height, width) < strides[deepest]:
        at = "" if scale == 1 else f" at style_scale {scale:g}"
        raise ValueError(
            f"{name}{at} is {width} x {height} px: its shorter side must be at least {strides[deepest]} px "
            f"for the layer {deepest}"
        )


def check_dense(value: Tensor, name: str) -> None:
    """Raises TypeError for a meta, sparse or nested tensor, which does not store a value at every place."""
    if value.is_meta:
        raise TypeError(f"{name} must hold values, and it is on the meta device: load or compute them first")
    if value.is_nested or value.layout is not torch.strided:
        kind = "nested" if value.is_nested else str(value.layout)
        raise TypeError(f"{name} must be a dense tensor, got {kind}: convert it, for example by .to_dense()")


def is_number(value: object) -> TypeGuard[float]:
    """Returns whether a value is a real number. NumPy's numbers are; True and False are not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def format_number(value: float | str) -> str:
    """Returns a number as a short text of the same value: 2.0 → "2", 1.23456789 → "1.23456789"."""
    if not isinstance(value, float):
        return str(value)
    return short if float(short := f"{value:g}") == value else repr(float(value))


def show(value: object) -> str:
    """Returns a value as text for a message, such as 1 for 1.0."""
    return format_number(value).removesuffix(".0") if is_number(value) else repr(value)


def check_share(value: float, name: str) -> None:
    """Raises ValueError, which names the argument, if a value is not a number in 0 … 1."""
    if not is_number(value) or not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in 0 … 1, got {show(value)}")


def describe_inputs(**inputs: Tensor | Sequence[Tensor] | None) -> dict[str, Any]:
    """Returns the entries of a recipe for images and masks (1, C, H, W), as JSON values. Omits None.

    `name` is the file's name or "(in memory)", `size` is [H, W], and `sha256` is that of the float32 values.
    """
    return {
        name: _described(given) if isinstance(given, Tensor) else [_described(image) for image in given]
        for name, given in inputs.items()
        if given is not None
    }


def _described(image: Tensor) -> dict[str, Any]:
    name = str(getattr(image, "source", None) or "(in memory)")[:LONGEST_NAME]
    numbers = image.detach().to("cpu", torch.float32).contiguous()
    return {
        "name": name.encode("utf-8", "replace").decode(),  # a file's name may not be valid Unicode
        "size": list(image.shape[2:]),
        "sha256": hashlib.sha256(numbers.flatten().numpy().data).hexdigest(),
    }


def _tensor(value: object, name: str, loader: str = "load_image") -> Tensor:
    if isinstance(value, Tensor):
        check_dense(value, name)
        return value
    remedy = f"nstlib.{loader}(a path or a Pillow image)"
    if hasattr(value, "__array_interface__") and not hasattr(value, "getbands"):  # Pillow's images have both
        kind, shape = value.__array_interface__["typestr"], value.__array_interface__["shape"]
        channels_last = ".permute(2, 0, 1)[None]" if len(shape) == 3 and shape[2] == 3 else ""
        remedy = f"torch.from_numpy(array){channels_last}"
        if kind == "|u1" and (len(shape) == 2 or channels_last):
            remedy = f"nstlib.{loader}(PIL.Image.fromarray(array))"
    raise TypeError(f"{name} must be a tensor, got {type(value).__name__}: use {remedy}")


def _reshaping(shape: tuple[int, ...]) -> str:
    """Suggests how to reshape a tensor into an image, or returns "" if that cannot be guessed."""
    match shape:
        case (3, _, _):
            return ": add the batch dimension, image[None]"
        case (_, _, 3):
            return ": put the channels first and add the batch dimension, image.permute(2, 0, 1)[None]"
        case (_, _, _, 3):
            return ": put the channels first, image.permute(0, 3, 1, 2)"
        case (_, 3, _, _) if 0 not in shape:
            return ": give one image at a time"
        case (_, 1, _, _):
            return ": repeat its one channel, image.expand(-1, 3, -1, -1)"
        case (_, 4, _, _):
            return ": leave its alpha out, image[:, :3]"
    return ""


def _converting(image: Tensor) -> str:
    """Suggests how to convert an image of a different dtype to floating-point values."""
    if image.dtype is torch.bool:
        return "use image.float()"
    if image.is_complex():
        return "use its real part, image.real, or its magnitude, image.abs()"
    return "divide by the value that stands for white, as in image.float() / 255"


def _ranging(low: float, high: float) -> str:
    """Says what the range of an image's values suggests, and how to convert them to [0, 1]."""
    if low >= -0.25 and high <= 1.25:
        return "they overshoot, as after bicubic resizing; clamp them, image.clamp(0, 1)"
    if low >= -SLACK:
        top = 255 if high <= 256 else 65535
        return f"they look like 0 … {top}; divide them, image / {top}"
    if low >= -1 - SLACK and high <= 1 + SLACK:
        return "they look like -1 … 1; shift them, (image + 1) / 2"
    if low >= -3 and high <= 3:
        return "they look normalised for a network; undo it, image * std + mean"
    return "bring them into [0, 1]"
