"""Opens image files: which formats are read, what is refused before it is decoded, and in which words."""

import contextlib
import functools
import importlib
import io
import os
import stat
import warnings
from collections.abc import Callable, Iterator
from typing import IO, Any

from PIL import Image, UnidentifiedImageError

# None of these starts another program, as EPS does with Ghostscript.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TGA", "TIFF", "WEBP")
MAX_PIXELS = 64_000_000  # of a file as stored: far beyond a camera's, below what fills a laptop's memory
MAX_SCANS = 24  # passes of a progressive JPEG: cameras and editors write 10, each costs a full pass of time
MAX_RECIPE = 100_000  # characters of a recipe: a run's has 2,000, and parsed JSON takes 100 times its text
RECIPE_KEY = "nstlib"
ORIENTATION = 0x0112  # EXIF: how the camera was held
WIDTH, HEIGHT = 256, 257  # tags of a TIFF
HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")
STARTS = {
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xffO\xffQ": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\n": "JPEG XL",
}

File = str | os.PathLike[str] | IO[bytes]
Allow = Callable[[int], None]  # told the number of pixels before they are decoded


class ImageError(ValueError):
    """An image that cannot be used; the message names it and says what to do."""


def suffixes() -> set[str]:
    """The file suffixes of the formats that this Pillow can read, like ".jpg"."""
    known = known_formats()
    return {suffix for suffix, name in Image.registered_extensions().items() if name in known}


def name_of(source: object) -> str:
    """What messages call a source."""
    if isinstance(source, str | os.PathLike):
        return str(os.fspath(source))
    return "the image" if isinstance(source, Image.Image) else str(getattr(source, "name", "the open file"))


@contextlib.contextmanager
def opened(source: File, name: str, max_pixels: int, allow: Allow) -> Iterator[Image.Image]:
    """Opens an image file and checks it. Every error of Pillow, also later ones, becomes an ImageError."""
    with contextlib.ExitStack() as stack:
        try:
            # Pillow warns of damaged tags, and of many pixels, where our own limit is stricter.
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            stream = _stream(source, name, stack)
            stream.seek(0)
            if stream.read(12)[8:] == b"WEBP":  # its decoder takes the memory of all pixels when it opens
                allow(max_pixels)
            file = stack.enter_context(Image.open(stream, formats=known_formats()))
            check_pixels(file, max_pixels, name)
            allow(file.width * file.height)
            yield file
        except FileNotFoundError:
            raise FileNotFoundError(f"no such image file: {name}") from None
        except Image.DecompressionBombError:
            raise ImageError(f"{name} has more than {max_pixels / 1e6:g} million pixels; shrink it") from None
        except (ImageError, MemoryError):
            raise
        except UnidentifiedImageError as error:
            raise ImageError(_unidentified(stream, name)) from error
        except Exception as error:  # Pillow's decoders raise many kinds: SyntaxError, struct.error, …
            what = "is it damaged, or another kind of file?"
            raise ImageError(f"cannot read {name} as an image; {what} ({error})") from error


def _stream(source: File, name: str, stack: contextlib.ExitStack) -> IO[bytes]:
    if isinstance(source, str | os.PathLike):
        if not stat.S_ISREG(os.stat(source).st_mode):  # a pipe would be waited for without end
            raise ImageError(f"{name} is no image file: it is a folder, a pipe or a device")
        return stack.enter_context(open(source, "rb"))
    return source if getattr(source, "seekable", bool)() else io.BytesIO(read_whole(source, name))


def read_whole(source: IO[bytes], name: str) -> bytes:
    """All bytes of an open file, from its start where it can be moved. Raises ImageError."""
    try:
        if getattr(source, "seekable", bool)():
            source.seek(0)
        return memoryview(source.read()).tobytes()
    except (AttributeError, OSError, TypeError, ValueError) as error:  # no file, a closed one, or one of text
        wanted = "give a path, a file opened in binary mode or a Pillow image"
        raise ImageError(f"cannot read {name} as an image; {wanted} ({error})") from error


@functools.cache
def known_formats() -> list[str]:
    """Those of `FORMATS` that this Pillow can read, and HEIC where pillow-heif is installed."""
    Image.init()
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()
    return [name for name in (*FORMATS, "HEIF") if name in Image.OPEN]


def _unidentified(stream: IO[bytes], name: str) -> str:
    """Why no decoder knows the file, and what to do."""
    stream.seek(0)
    head = stream.read(1000)
    kind = next((kind for start, kind in STARTS.items() if head.startswith(start)), "")
    hint = "save it as JPEG or PNG"
    if head[4:8] == b"ftyp" and any(brand in head[8:64] for brand in HEIC):
        kind, hint = "HEIC", f"{hint}, or install pillow-heif"
    elif head[4:8] == b"ftyp" and b"avif" in head[8:64]:
        kind, hint = "AVIF", f"{hint}, or install Pillow 11.3 or newer"
    elif b"<svg" in head.lower():
        kind, hint = "SVG", "draw it as a PNG of the size you need"
    if kind:
        return f"cannot read {name} as an image: the format {kind} is not supported; {hint}"
    return f"cannot read {name} as an image; is it damaged, or another kind of file?"


def check_pixels(image: Image.Image, limit: int, name: str) -> None:
    """Raises ImageError above `limit` pixels."""
    width, height = image.size
    if width * height > limit:
        limit_words = f"over the limit of {limit / 1e6:g} million pixels; shrink it first"
        raise ImageError(f"{name} is {width} x {height} px, {limit_words}")


def check_scans(file: Any, name: str) -> None:
    """A JPEG of a few kilobytes may ask for thousands of passes over all its pixels."""
    position = file.fp.tell()
    scans = file.fp.read().count(b"\xff\xda")  # its head has been read already
    file.fp.seek(position)
    if scans > MAX_SCANS:
        raise ImageError(f"{name} is a JPEG of {scans} scans, over the limit of {MAX_SCANS}; save it anew")


def orientation(image: Image.Image) -> Any:
    """How the pixels must be turned, as EXIF numbers it (1: not at all). Pillow turns a TIFF as it loads."""
    return 1 if hasattr(image, "tag_v2") else image.getexif().get(ORIENTATION, 1)


def shown_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) in pixels as shown, of an opened file that is not loaded."""
    width, height = image.size
    turned = orientation(image)
    if tags := getattr(image, "tag_v2", None):
        width, height, turned = tags[WIDTH], tags[HEIGHT], tags.get(ORIENTATION, 1)
    return (height, width) if turned in range(5, 9) else (width, height)
