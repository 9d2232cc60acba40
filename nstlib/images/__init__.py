"""Reads and writes images as tensors (1, 3, H, W), float32, sRGB in [0, 1].

    files       `load_image`, `load_mask`, `save_image`, `read_recipe`, …: files to and from tensors
    opening     the formats that can be read, the checks of a file, the error messages
    pixels      conversion of any Pillow mode to 8-bit sRGB: depth, colour profile, transparency, rotation
    decoding    the pixels, the properties and the recipe of a file
    isolation   `isolate`: decoding in child processes with limits on memory and time

Read files, decoding, pixels, opening and isolation, in this order. Only `files` imports torch, so that the
child processes start quickly.
"""

from nstlib.images.files import (
    ImageInfo,
    check_output,
    image_info,
    image_size,
    load_image,
    load_mask,
    read_recipe,
    save_image,
    to_pil,
)
from nstlib.images.isolation import isolate
from nstlib.images.opening import CostlyImageError, DecoderBusyError, ImageError, suffixes

__all__ = [
    "CostlyImageError",
    "DecoderBusyError",
    "ImageError",
    "ImageInfo",
    "check_output",
    "image_info",
    "image_size",
    "isolate",
    "load_image",
    "load_mask",
    "read_recipe",
    "save_image",
    "suffixes",
    "to_pil",
]
