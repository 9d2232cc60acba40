"""Image files and Pillow images ⇄ tensors (1, 3, H, W), float32, sRGB in [0, 1]; nothing else knows Pillow.

    loading     `load_image`, `load_mask`, `image_size`, `read_recipe`: files → tensors and values
    saving      `to_pil`, `save_image`, `check_output`: tensors → files
    opening     the formats that are read; files are opened and checked, errors get their words
    pixels      any Pillow mode → 8-bit sRGB: depth, colour profile, transparency, rotation
    decoding    what can be asked of a file: its pixels, its properties, its recipe
    isolation   `isolate`: decoding in child processes with limits on memory and time
    worker      such a child process

Read loading, decoding, pixels, opening; then isolation. The last five modules import no torch, because a
child process that decodes starts with them alone.
"""

from nstlib.images.isolation import isolate
from nstlib.images.loading import ImageInfo, image_info, image_size, load_image, load_mask, read_recipe
from nstlib.images.opening import FORMATS, MAX_PIXELS, MAX_RECIPE, MAX_SCANS, RECIPE_KEY, ImageError, suffixes
from nstlib.images.pixels import MIN_SIDE
from nstlib.images.saving import STALE, check_output, save_image, to_pil, unfinished

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "MAX_RECIPE",
    "MAX_SCANS",
    "MIN_SIDE",
    "RECIPE_KEY",
    "STALE",
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
    "unfinished",
]
