"""Opens image files: the formats that are read, the checks before decoding, and the error messages."""

import contextlib
import functools
import importlib
import io
import os
import re
import stat
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

from PIL import Image, UnidentifiedImageError

from nstlib.version import no_such

# Decoding these starts no external program. (EPS would start Ghostscript.)
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TGA", "TIFF", "WEBP")
MAX_PIXELS = 16384**2  # 268 million pixels, by default, for the size that is stored in a file
MAX_SCANS = 24  # scans of a progressive JPEG; each decodes all pixels, and cameras and editors write 10
MAX_RECIPE = 100_000  # characters of a recipe; a run writes 2,000, and parsing may take 50 bytes for each
RECIPE_KEY = "nstlib"
ORIENTATION, WIDTH, HEIGHT = 274, 256, 257  # tags of EXIF and TIFF
HEAD = 1000  # bytes that show the format of a file
EXPORT = "save it as JPEG or PNG"
UNSUPPORTED = (  # how a file begins, its format, and what to do
    (rb"\0\0\0\x0cjP  |\xffO\xffQ", "JPEG 2000", EXPORT),
    (rb"\0\0\0\x0cJXL |\xff\n", "JPEG XL", EXPORT),
    (rb".{4}ftyp.{0,52}(hei[cxms]|hev[cx])", "HEIC", f"{EXPORT}, or install pillow-heif"),
    (rb".{4}ftyp.{0,52}avif", "AVIF", f"{EXPORT}, or install Pillow 11.3 or newer"),
    (rb".*<svg", "SVG", "draw it as a PNG of the size you need"),
)

File = str | os.PathLike[str] | IO[bytes]
Source = File | Image.Image
Allow = Callable[[int], None]  # called with the number of pixels before they are decoded


class ImageError(ValueError):
    """An image that cannot be used; the message names it and says what to do."""


class CostlyImageError(ImageError):
    """An image that takes more time or memory to decode than `isolate` allows."""


class DecoderBusyError(ImageError):
    """No child process was free to decode the image. A later attempt may succeed."""


def suffixes() -> set[str]:
    """Returns the file suffixes of the formats that this Pillow can read, like ".jpg"."""
    known = known_formats()
    return {suffix for suffix, name in Image.registered_extensions().items() if name in known}


def name_of(source: object) -> str:
    """Returns the name of a source for messages."""
    if isinstance(source, str | os.PathLike):
        return str(os.fspath(source))
    return "the image" if isinstance(source, Image.Image) else str(getattr(source, "name", "the open file"))


@contextlib.contextmanager
def open_image(source: Source, name: str, max_pixels: int, allow: Allow) -> Iterator[Image.Image]:
    """Opens and checks an image. Errors of Pillow, here and in the `with` block, become ImageError."""
    with contextlib.ExitStack() as stack:
        try:
            # Pillow warns about damaged tags and about many pixels, which max_pixels limits below.
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            if isinstance(source, Image.Image):
                image = source
            else:
                stream = _stream(source, name, stack)
                stream.seek(0)
                if stream.read(12)[8:] == b"WEBP":  # opening it takes the memory of all its pixels
                    allow(max_pixels)
                image = stack.enter_context(_open(stream))
            width, height = image.size
            if width * height > max_pixels:
                limit = f"over the limit of {max_pixels / 1e6:g} million pixels; shrink it first"
                raise ImageError(f"{name} is {width} x {height} px, {limit}")
            allow(width * height)
            yield image
        except FileNotFoundError:
            raise FileNotFoundError(no_such("image file", name)) from None
        except (ImageError, MemoryError):
            raise
        except UnidentifiedImageError as error:
            raise ImageError(f"cannot read {name} as an image{_unidentified(stream)}") from error
        except Exception as error:  # Pillow's decoders raise many kinds: SyntaxError, struct.error, …
            what = "is it damaged, or another kind of file?"
            raise ImageError(f"cannot read {name} as an image; {what} ({error})") from error


def _open(stream: IO[bytes]) -> Image.Image:
    """Opens an image like `Image.open`, but without Pillow's global limit on pixels."""
    stream.seek(0)
    prefix = stream.read(16)
    for factory, accept in (Image.OPEN[name] for name in known_formats()):
        with contextlib.suppress(SyntaxError, IndexError, TypeError, struct.error):
            accepted = accept is None or accept(prefix)  # a string: a decoder is missing
            if accepted and not isinstance(accepted, str):
                stream.seek(0)
                return factory(stream, "")
    raise UnidentifiedImageError


def _stream(source: File, name: str, stack: contextlib.ExitStack) -> IO[bytes]:
    if isinstance(source, str | os.PathLike):
        if not stat.S_ISREG(os.stat(source).st_mode):  # reading a pipe could wait forever
            raise ImageError(f"{name} is no image file: it is a folder, a pipe or a device")
        return stack.enter_context(open(source, "rb"))
    return source if getattr(source, "seekable", bool)() else io.BytesIO(read_whole(source, name))


def read_whole(source: IO[bytes], name: str) -> bytes:
    """Returns all bytes of an open file, from its start if the file can seek. Raises ImageError."""
    try:
        if getattr(source, "seekable", bool)():
            source.seek(0)
        return memoryview(source.read()).tobytes()
    except (AttributeError, OSError, TypeError, ValueError) as error:  # not a file, or closed, or a text file
        wanted = "give a path, a file opened in binary mode or a Pillow image"
        raise ImageError(f"cannot read {name} as an image; {wanted} ({error})") from error


@functools.cache
def known_formats() -> list[str]:
    """Returns the names in `FORMATS` that Pillow can read here, and HEIF if pillow-heif is installed."""
    Image.init()
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()
    return [name for name in (*FORMATS, "HEIF") if name in Image.OPEN]


def _unidentified(stream: IO[bytes]) -> str:
    """Returns why no decoder recognises a file and what to do, as the end of a message."""
    stream.seek(0)
    head = stream.read(HEAD)
    with contextlib.suppress(zlib.error):
        head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, HEAD)  # .svgz is SVG in gzip
    for start, kind, remedy in UNSUPPORTED:
        if re.match(start, head, re.DOTALL | re.IGNORECASE):
            return f": the format {kind} is not supported; {remedy}"
    return "; is it damaged, or another kind of file?"


def check_scans(image: Any, name: str) -> None:
    """Raises ImageError for a JPEG with too many scans. A few kilobytes can hold thousands of scans."""
    position = image.fp.tell()
    scans = image.fp.read().count(b"\xff\xda")  # Pillow has read the first scan's header already
    image.fp.seek(position)
    if scans > MAX_SCANS:
        raise ImageError(f"{name} is a JPEG of {scans} scans, over the limit of {MAX_SCANS}; save it again")


def orientation(image: Image.Image) -> Any:
    """Returns the EXIF number of the rotation to apply. 1: none, also for a TIFF, which Pillow rotates."""
    return 1 if hasattr(image, "tag_v2") else image.getexif().get(ORIENTATION, 1)


def shown_size(image: Image.Image) -> tuple[int, int]:
    """Returns (width, height) in pixels, as shown, of an image that is open but not loaded."""
    (width, height), turned = image.size, orientation(image)
    if tags := getattr(image, "tag_v2", None):
        width, height, turned = tags[WIDTH], tags[HEIGHT], tags.get(ORIENTATION, 1)
    return (height, width) if turned in range(5, 9) else (width, height)
