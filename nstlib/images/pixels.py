"""Any Pillow mode → 8-bit sRGB, upright, at the size asked for; strip by strip, which costs little memory.

A strip is scaled to 8 bits, shrunk by a whole factor, converted by its colour profile and laid on white.
"""

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from nstlib.images.opening import ImageError, orientation

MIN_SIDE = 16  # px after resizing: one position at relu5_1
STRIP = 1 << 20  # pixels converted at a time
GAP = 3  # first shrunk by a whole factor to no less than this many times the size, then resampled well
SAMPLE = 1000  # px a side: of an image whose range of values is looked at
SAME = 2  # levels of 255: a profile that changes colours by no more is sRGB, and the pixels stay as they are
UPRIGHT = dict(zip(range(2, 9), (Image.Transpose(turn) for turn in (0, 3, 1, 5, 4, 6, 2)), strict=True))
BITS, PHOTOMETRIC, SAMPLE_FORMAT, MAX_VALUE, S_MAX_VALUE = 258, 262, 339, 281, 341  # tags of a TIFF
MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}  # colour space of a profile → Pillow's mode
BASES = {"1": "L", "L": "L", "LA": "L", "CMYK": "CMYK", "LAB": "LAB"}  # what a profile is for, RGB elsewhere

Change = Callable[[Image.Image], Image.Image]


def upright(image: Image.Image, size: int | None, name: str, mask: bool) -> tuple[Image.Image, list[str]]:
    """The image as RGB, turned and resized, and what its user should know. mask: its alpha where it has any,
    else its values without a conversion of colours. Raises ImageError for one that is too small."""
    if hasattr(image, "tag_v2"):
        image.filename = ""  # type: ignore[attr-defined] # Pillow maps a file into memory before it is turned
    image.load()
    turn = UPRIGHT.get(orientation(image))
    notes: list[str] = []
    change: Change | None = None
    if mask:
        image = _opacity(image)
    else:
        change, notes = _to_srgb(image, name)
    rgb = _to_rgb(image, 1 if size is None else max(1, max(image.size) // (GAP * size)), change)
    if size is not None:
        width, height = (max(1, round(side * size / max(image.size))) for side in image.size)
        rgb = rgb.resize((width, height), Image.Resampling.LANCZOS)
    if turn is not None:
        rgb = rgb.transpose(turn)
    if min(rgb.size) < MIN_SIDE:
        raise ImageError(
            f"{name} is {rgb.width} x {rgb.height} px; the shorter side must be at least {MIN_SIDE} px"
            + ("" if size is None else f" after resizing: crop it, or ask for more than size={size}")
        )
    return rgb, notes


def _deep(image: Image.Image) -> bool:
    return image.mode == "F" or image.mode.startswith("I")


def _transparent(image: Image.Image) -> bool:
    return image.has_transparency_data and not _deep(image)


def _opacity(mask: Image.Image) -> Image.Image:
    """The alpha channel, unless the mask is opaque everywhere."""
    if _transparent(mask):
        alpha = (mask if "A" in mask.getbands() else mask.convert("RGBA")).getchannel("A")
        if alpha.getextrema() != (255, 255):
            return alpha
    return mask


def _to_rgb(image: Image.Image, factor: int, change: Change | None) -> Image.Image:
    """Any Pillow mode → RGB, each side divided by `factor` (means of squares), strip by strip."""
    scale = _scaling(image)
    if image.mode == "RGB" and factor == 1 and not (scale or change or image.has_transparency_data):
        return image
    width, height = image.size
    rows = max(1, STRIP // width // factor) * factor
    page = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for y in range(0, height, rows):
        strip = image.crop((0, y, width, min(y + rows, height)))
        strip = _plain(scale(strip) if scale else strip)
        page.paste(_on_white(strip if factor == 1 else strip.reduce(factor), change), (0, y // factor))
    return page


def _plain(image: Image.Image) -> Image.Image:
    """8 bits of any mode → L, RGB, CMYK, LAB, or RGBA where there is transparency."""
    if image.has_transparency_data:
        return image.convert("RGBA")
    kept = ("L", "RGB", "CMYK", "LAB")
    return image if image.mode in kept else image.convert("L" if image.mode == "1" else "RGB")


def _on_white(image: Image.Image, change: Change | None) -> Image.Image:
    rgb = image.convert("RGB") if change is None else change(image)
    if image.mode == "RGBA":
        rgb = Image.composite(rgb, Image.new("RGB", rgb.size, "white"), image.getchannel("A"))
    return rgb


def _scaling(image: Image.Image) -> Change | None:
    """What brings an image of more than 8 bits to 8; None where it has them."""
    tags = getattr(image, "tag_v2", {})
    if not _deep(image):
        high_byte = int(_told(tags)) >> 8  # of white: Pillow keeps the high bytes of 16-bit colours
        if _tag(tags, BITS) != 16 or high_byte in (0, 255):
            return None
        return lambda strip: strip.point(lambda value: min(255, round(255 * value / high_byte)))
    unsigned = image.mode == "I" and _tag(tags, SAMPLE_FORMAT) != 2 and _tag(tags, BITS) == 32
    inverted = tags.get(PHOTOMETRIC) == 0
    white = _white(image, tags, unsigned)

    def scaled(strip: Image.Image) -> Image.Image:
        values = np.nan_to_num(_values(strip, unsigned) / white).clip(0, 1)
        return Image.fromarray(((1 - values if inverted else values) * 255).round().astype(np.uint8))

    return scaled


def _values(image: Image.Image, unsigned: bool) -> np.ndarray[Any, Any]:
    values = np.asarray(image)
    return (values.view(np.uint32) if unsigned else values).astype(np.float64)


def _white(image: Image.Image, tags: Any, unsigned: bool) -> float:
    """The value that stands for white: the first of the usual ones that few values exceed twice.

    Floats go to 1, 255 or 65535; those that go to 1 may have highlights up to 16. A TIFF may say more by its
    number of bits, or by its largest value, which stands for a number of bits.
    """
    bits = int(_tag(tags, BITS) or 16)
    usual = [255.0, 65535.0, 2.0**32 - 1 if unsigned else 2.0**31 - 1]
    if image.mode == "F":
        usual = [1.0, 255.0, 65535.0]
    elif image.mode != "I" or image.format not in (None, "TIFF"):  # PPM and PNG give 16 bits as 32
        usual = [2.0**bits - 1]
    elif bits == 16 and tags:  # signed
        usual = [32767.0]
    if told := _told(tags):
        usual.insert(0, told)
    width, height = (min(side, SAMPLE) for side in image.size)
    small = image.resize((width, height), Image.Resampling.NEAREST)
    values = _values(small, unsigned)
    values = values[np.isfinite(values)]
    high = np.quantile(values, 0.999) if values.size else 0.0
    return next((white for white in usual[:-1] if high <= (16 if white == 1 else 2 * white)), usual[-1])


def _told(tags: Any) -> float:
    """White by a TIFF's largest value, rounded up to a number of bits; 0 where none is given."""
    told = _tag(tags, MAX_VALUE) or _tag(tags, S_MAX_VALUE)
    return 2.0 ** max(1, math.ceil(math.log2(told + 1) - 0.01)) - 1 if 0 < told <= 2**32 else 0.0


def _tag(tags: Any, number: int) -> float:
    """A number of a TIFF, the largest of several; 0 where there is none."""
    found = tags.get(number, 0)
    numbers = found if isinstance(found, tuple) else (found,)
    return max((float(one) for one in numbers if isinstance(one, int | float)), default=0.0)


def _to_srgb(image: Image.Image, name: str) -> tuple[Change | None, list[str]]:
    """The conversion from the image's colour profile to sRGB; none where it has no other profile than sRGB.
    One that cannot be used is left out, with a note."""
    data = image.info.get("icc_profile")
    if not data:
        return None, []
    base = "L" if _deep(image) else BASES.get(image.mode, "RGB")
    try:
        profile: Any = ImageCms.ImageCmsProfile(io.BytesIO(data))
        mode = MODES[str(profile.profile.xcolor_space).strip()]
        if (mode, base) != ("RGB", "L") and mode != base:
            raise ValueError(f"it is for {mode}, the image is {image.mode}")
        transform = ImageCms.buildTransform(
            profile,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except Exception as error:  # littleCMS is absent, or refuses
        return None, [
            f"the colour profile of {name} cannot be used, and its colours are taken as sRGB ({error})"
        ]

    def change(strip: Image.Image) -> Image.Image:
        return transform.apply(strip if strip.mode == mode else strip.convert(mode))

    if mode in ("RGB", "L"):
        ramp = np.linspace(0, 255, 18).astype(np.uint8)
        lattice = np.stack(np.meshgrid(*[ramp] * 3), -1).reshape(1, -1, 3) if mode == "RGB" else ramp[None]
        probe = Image.fromarray(lattice)
        moved = np.asarray(change(probe), np.int16) - np.asarray(probe.convert("RGB"))
        if np.abs(moved).max() <= SAME:
            return None, []
    return change, []
