"""Converts any Pillow mode to upright 8-bit sRGB of a given size, strip by strip, to save memory.

Each strip is scaled to 8 bits, shrunk by a whole factor, converted by its profile and composited on white.
"""

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from nstlib.images.opening import ImageError, orientation

MIN_SIDE = 16  # px: shortest side after resizing, which gives one position at relu5_1
STRIP = 1 << 20  # number of pixels that are converted at a time
GAP = 3  # an image is shrunk by a whole factor, to at least GAP times the size, and then resampled (Lanczos)
ENLARGED = 4  # if an image is enlarged by more than this factor, a note says so
SAMPLE = 1000  # px: the longest side of the sample that determines an image's range of values
STEP = 1 / 255  # values out of range by at most this are clipped without a note
SAME = 2  # of 255 levels: a profile that changes colours by at most this counts as sRGB and is not applied
UPRIGHT = dict(zip(range(2, 9), (Image.Transpose(turn) for turn in (0, 3, 1, 5, 4, 6, 2)), strict=True))
BITS, PHOTOMETRIC, SAMPLE_FORMAT, MAX_VALUE, S_MAX_VALUE = 258, 262, 339, 281, 341  # tags of a TIFF
MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}  # colour space of a profile → Pillow's mode
BASES = {"1": "L", "L": "L", "LA": "L", "CMYK": "CMYK", "LAB": "LAB"}  # image → profile
RENDERING = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION

Change = Callable[[Image.Image], Image.Image]


def upright(image: Image.Image, size: int | None, name: str, mask: bool, notes: list[str]) -> Image.Image:
    """Returns the image as RGB, turned and resized. Raises ImageError for one that is too small.

    Args:
        size: longest side in pixels. None: that of the image.
        mask: return the alpha channel if there is transparency, otherwise the values without their profile.
        notes: list to which notes for the user are added.
    """
    if hasattr(image, "tag_v2"):
        image.filename = ""  # type: ignore[attr-defined] # else Pillow may map it into memory at its turned size
    image.load()
    turn = UPRIGHT.get(orientation(image))
    change = None if mask else _to_srgb(image, name, notes)
    factor = 1 if size is None else max(1, max(image.size) // (GAP * size))
    opaque = _opacity(image) if mask else image
    rgb = _to_rgb(opaque, factor, change, _scaling(opaque, name, notes))
    if size is not None:
        width, height = (max(1, round(side * size / max(image.size))) for side in image.size)
        if size > ENLARGED * max(image.size):
            pixels = f"{image.width} x {image.height} px"
            notes.append(f"{name} has only {pixels} and was enlarged: give a larger image")
        rgb = rgb.resize((width, height), Image.Resampling.LANCZOS)
    if turn is not None:
        rgb = rgb.transpose(turn)
    if min(rgb.size) < MIN_SIDE:
        remedy = "" if size is None else f" after resizing: crop it, or choose a size above {size}"
        what = f"{name} is {rgb.width} x {rgb.height} px" + ("" if size is None else f" at the size {size}")
        raise ImageError(f"{what}; the shorter side must be at least {MIN_SIDE} px{remedy}")
    return rgb


def _deep(image: Image.Image) -> bool:
    return image.mode == "F" or image.mode.startswith("I")


def _opacity(mask: Image.Image) -> Image.Image:
    """Returns the alpha channel, or the mask itself if it is opaque everywhere."""
    if mask.has_transparency_data and not _deep(mask):
        alpha = (mask if "A" in mask.getbands() else mask.convert("RGBA")).getchannel("A")
        if alpha.getextrema() != (255, 255):
            return alpha
    return mask


def _to_rgb(image: Image.Image, factor: int, change: Change | None, scale: Change | None) -> Image.Image:
    """Converts any mode to RGB and divides each side by `factor` (means of blocks), strip by strip."""
    if image.mode == "RGB" and factor == 1 and not (scale or change or image.has_transparency_data):
        return image
    width, height = image.size
    rows = max(1, STRIP // width // factor) * factor
    page = Image.new("RGB", (-(-width // factor), -(-height // factor)), "white")
    for y in range(0, height, rows):
        strip = image.crop((0, y, width, min(y + rows, height)))
        strip = scale(strip) if scale else strip
        if strip.has_transparency_data:
            strip = strip.convert("RGBA")
        elif strip.mode not in ("L", "RGB", "CMYK", "LAB"):
            strip = strip.convert("L" if strip.mode == "1" else "RGB")
        strip = strip if factor == 1 else strip.reduce(factor)
        rgb = change(strip) if change else strip.convert("RGB")
        page.paste(rgb, (0, y // factor), strip.getchannel("A") if strip.mode == "RGBA" else None)
    return page


def _scaling(image: Image.Image, name: str, notes: list[str]) -> Change | None:
    """Returns the conversion of an image of more than 8 bits to 8 bits, or None if the image has 8 bits.

    When the conversion first clips values, it adds a note.
    """
    tags = getattr(image, "tag_v2", {})
    bits, largest = int(_number(tags, BITS)), _number(tags, MAX_VALUE) or _number(tags, S_MAX_VALUE)
    # White: the largest number with as many bits as the largest value that a TIFF gives. 0 if it gives none.
    told = 2.0 ** max(1, math.ceil(math.log2(largest + 1) - 0.01)) - 1 if 0 < largest <= 2**32 else 0.0
    if not _deep(image):
        high_byte = int(told) >> 8  # Pillow keeps only the high bytes of 16-bit colours
        if bits != 16 or high_byte in (0, 255):
            return None
        return lambda strip: strip.point(lambda value: min(255, round(255 * value / high_byte)))
    unsigned = image.mode == "I" and _number(tags, SAMPLE_FORMAT) != 2 and bits == 32

    def values(part: Image.Image) -> np.ndarray[Any, Any]:
        numbers = np.asarray(part)
        return (numbers.view(np.uint32) if unsigned else numbers).astype(np.float64)

    if image.mode == "F":
        usual = [1.0, 255.0, 65535.0]
    elif image.mode != "I" or image.format not in (None, "TIFF"):  # 16-bit PPM and PNG are read as 32 bits
        usual = [2.0 ** (bits or 16) - 1]
    elif bits in (0, 16) and tags:  # signed
        usual = [32767.0]
    else:
        usual = [255.0, 65535.0, 2.0**32 - 1 if unsigned else 2.0**31 - 1]
    usual = [told, *usual] if told else usual
    # White is the first usual value v for which nearly all values are at most 2 v, or at most 16 if v = 1.
    width, height = (min(side, SAMPLE) for side in image.size)
    sample = values(image.resize((width, height), Image.Resampling.NEAREST))
    sample = sample[np.isfinite(sample)]
    high = np.quantile(sample, 0.999) if sample.size else 0.0
    low = np.quantile(sample, 0.001) if sample.size else 0.0
    white = next((one for one in usual[:-1] if high <= (16 if one == 1 else 2 * one)), usual[-1])

    clipped: list[str] = []

    def scaled(strip: Image.Image) -> Image.Image:
        light = values(strip) / white
        if not (clipped or ((light >= -STEP) & (light <= 1 + STEP)).all()):  # true for NaN, too
            signed = white == 1 and -1 - STEP <= low < -STEP and high <= 1 + STEP
            remedy = "they look like -1 … 1: save (image + 1) / 2" if signed else "bring them into this range"
            nan = ", and NaN becomes 0" if np.isnan(light).any() else ""
            clipped.append(f"the values of {name} are clipped to 0 … {white:g}{nan}; {remedy}")
            notes.extend(clipped)
        light = np.nan_to_num(light).clip(0, 1)
        light = 1 - light if tags.get(PHOTOMETRIC) == 0 else light
        return Image.fromarray((light * 255).round().astype(np.uint8))

    return scaled


def _number(tags: Any, tag: int) -> float:
    """Returns the number in a tag of a TIFF, or the largest of several numbers; 0 if there is none."""
    found = tags.get(tag, 0)
    numbers = found if isinstance(found, tuple) else (found,)
    return max((float(one) for one in numbers if isinstance(one, int | float)), default=0.0)


def _to_srgb(image: Image.Image, name: str, notes: list[str]) -> Change | None:
    """Returns the conversion from the image's colour profile to sRGB, or None if none is needed.

    A profile that cannot be used is ignored, and a note says so.
    """
    data = image.info.get("icc_profile")
    if not data:
        return None
    base = "L" if _deep(image) else BASES.get(image.mode, "RGB")
    try:
        profile: Any = ImageCms.ImageCmsProfile(io.BytesIO(data))
        mode = MODES[str(profile.profile.xcolor_space).strip()]
        if (mode, base) != ("RGB", "L") and mode != base:
            raise ValueError(f"it is for {mode}, the image is {image.mode}")
        transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB", *RENDERING)
    except Exception as error:  # littleCMS is missing, or rejects the profile
        notes.append(
            f"the colour profile of {name} cannot be used, and its colours are taken as sRGB ({error})"
        )
        return None

    def change(strip: Image.Image) -> Image.Image:
        return transform.apply(strip if strip.mode == mode else strip.convert(mode))

    if mode in ("RGB", "L"):
        ramp = np.linspace(0, 255, 18).astype(np.uint8)
        lattice = np.stack(np.meshgrid(*[ramp] * 3), -1).reshape(1, -1, 3) if mode == "RGB" else ramp[None]
        probe = Image.fromarray(lattice)
        changed = np.asarray(change(probe), np.int16) - np.asarray(probe.convert("RGB"))
        if np.abs(changed).max() <= SAME:
            return None
    return change
