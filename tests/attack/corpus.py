"""Hostile files, made by code from a seed: broken, lying, huge, endless, or of another kind than they say.

small(folder)   some 350 files of a few kilobytes at most; large(folder)  a dozen that cost much to decode
"""

import io
import os
import pickle
import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

SIDE = 40, 28
MEGAPIXELS = 24  # what a public host takes
ENCODINGS = [  # format, mode, options
    *(("PNG", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
    *(("JPEG", mode, {}) for mode in ("L", "RGB", "CMYK")),
    ("JPEG", "RGB", {"progressive": True}),
    ("GIF", "P", {}),
    ("BMP", "RGB", {}),
    *(("TIFF", mode, {"compression": how}) for mode in ("L", "RGBA") for how in ("tiff_lzw", "tiff_deflate")),
    ("TIFF", "F", {}),
    ("TIFF", "CMYK", {"compression": "packbits"}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("PPM", "RGB", {}),
    ("TGA", "RGB", {"compression": "tga_rle"}),
]


def gradient(mode: str, width: int = SIDE[0], height: int = SIDE[1]) -> Image.Image:
    """A gradient with some noise, in any mode."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).integers(0, 40, (height, width))
    grey = ((x * 5 + y * 3 + noise) % 256).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray(grey.astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(grey.astype(np.float32))
    return Image.fromarray(np.stack([grey, 255 - grey, grey // 2], -1)).convert(mode)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def small(folder: Path) -> list[Path]:
    """Writes the small ones; returns their paths."""
    paths = []
    for number, (name, data) in enumerate([*_damaged(), *_lying(), *_foreign()]):
        path = folder / f"{number:03}-{name}"
        path.write_bytes(data)
        paths.append(path)
    return [*paths, *_places(folder)]


def _damaged() -> Iterator[tuple[str, bytes]]:
    """Every encoding whole, cut off, with bytes changed, and with another's name."""
    chance = random.Random(0)
    for kind, mode, options in ENCODINGS:
        data = encoded(gradient(mode), kind, **options)
        name = f"{kind}-{mode}".replace(";", "").lower()
        yield f"{name}.png", data
        for share in (0.02, 0.3, 0.7, 0.99):
            yield f"{name}-cut.{kind.lower()}", data[: int(share * len(data))]
        for flips in (1, 3, 30, 300):
            changed = bytearray(data)
            for _ in range(flips):
                changed[chance.randrange(len(data))] = chance.randrange(256)
            yield f"{name}-flip{flips}.{kind.lower()}", bytes(changed)
        changed = bytearray(data)  # the head alone decides on sizes and tables
        for _ in range(6):
            changed[chance.randrange(min(64, len(data)))] = chance.choice((0, 1, 127, 128, 255))
        yield f"{name}-head.{kind.lower()}", bytes(changed)
        yield f"{name}-twice.{kind.lower()}", data + data
        yield f"{name}-zeros.{kind.lower()}", data[:64] + bytes(2000)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, depth: int, colour: int, *extra: bytes, pixels: bytes = b"") -> bytes:
    """A PNG whose head says what it likes."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", head), *extra, chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _lying() -> Iterator[tuple[str, bytes]]:
    """Heads that promise what is not there, or far too much; chunks that unfold; loops."""
    for width, height in ((0, 0), (1, 2**31 - 1), (2**31 - 1, 2**31 - 1), (30_000, 30_000), (10_000, 10_000)):
        yield f"says-{width}x{height}.png", png(width, height, 8, 2)
    for depth, colour in ((16, 6), (3, 2), (1, 3), (255, 255)):
        yield f"depth-{depth}-{colour}.png", png(40, 40, depth, colour, pixels=bytes(40 * 400))
    bomb = zlib.compress(bytes(50_000_000), 9)
    yield "text-bomb.png", png(40, 40, 8, 2, chunk(b"zTXt", b"a\0\0" + bomb), pixels=bytes(5000))
    yield "profile-bomb.png", png(40, 40, 8, 2, chunk(b"iCCP", b"a\0\0" + bomb), pixels=bytes(5000))
    yield "exif-bomb.png", png(40, 40, 8, 2, chunk(b"eXIf", b"MM\0*" + b"\xff" * 5000), pixels=bytes(5000))
    yield "pixels-bomb.png", png(40, 40, 8, 2, pixels=bytes(50_000_000))
    deep = PngImagePlugin.PngInfo()
    deep.add_itxt("nstlib", "[" * 100_000)
    yield "deep-recipe.png", encoded(gradient("RGB"), "PNG", pnginfo=deep)
    empty = PngImagePlugin.PngInfo()
    empty.add_itxt("nstlib", '{"kind": "transfer"}')
    yield "empty-recipe.png", encoded(gradient("RGB"), "PNG", pnginfo=empty)
    strange = PngImagePlugin.PngInfo()
    strange.add_itxt("nstlib", '{"settings": {"size": "large", "gamma": null, "levels": [3]}}')
    yield "strange-recipe.png", encoded(gradient("RGB"), "PNG", pnginfo=strange)
    for turn in (0, 2, 5, 6, 8, 9, 255, 65535):
        exif = Image.Exif()
        exif[0x0112] = turn
        yield f"turned-{turn}.jpg", encoded(gradient("RGB"), "JPEG", exif=exif)
    frames = [gradient("P") for _ in range(60)]
    yield "many.gif", encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    yield "many.webp", encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    yield "many.png", encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    yield "canvas.gif", b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b";"
    yield "loop.tif", b"II*\0" + struct.pack("<I", 8) + struct.pack("<HI", 0, 8)
    tags = [(256, 4, 1, 60_000), (257, 4, 1, 60_000), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    tags += [(273, 4, 1_000_000, 8), (278, 4, 1, 1), (279, 4, 1_000_000, 8)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    yield "strips.tif", b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    sizes = struct.pack("<IHHIIiiHH", 99, 0, 0, 54, 40, 2**31 - 1, -(2**31), 1, 32)
    yield "huge.bmp", b"BM" + sizes + bytes(60)
    yield "huge.ppm", b"P6 999999999 999999999 255\n" + bytes(99)
    yield "huge.tga", bytes([0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0]) + struct.pack("<HHBB", 65535, 65535, 32, 0)
    yield "thin.png", encoded(Image.new("L", (30_000, 1)), "PNG")
    yield "dot.png", encoded(Image.new("L", (1, 1)), "PNG")
    yield "scans.jpg", scans(encoded(gradient("L", 400, 400), "JPEG", progressive=True), 3000)


def scans(progressive: bytes, times: int) -> bytes:
    """A progressive JPEG whose last pass over the pixels is asked for many times."""
    start = progressive.rindex(b"\xff\xda")
    return progressive[:start] + times * progressive[start:-2] + progressive[-2:]


def _foreign() -> Iterator[tuple[str, bytes]]:
    """Other kinds of files under the names of images, some of which would run programs."""
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n(%pipe%id) (r) file\n"
    entity = b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY %c "&%c;&%c;&%c;&%c;">' % (98 + i, 97 + i, 97 + i, 97 + i, 97 + i) for i in range(20)
    )

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("touch /tmp/nstlib-attack-pickle",)

    foreign = {
        "empty": b"",
        "text": b"this is no image",
        "zeros": bytes(3000),
        "html": b"<script>alert(1)</script>",
        "eps": eps,
        "eps-dos": b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 32, len(eps)) + bytes(20) + eps,
        "pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>",
        "wmf": b"\xd7\xcd\xc6\x9a" + bytes(200),
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        "entities": entity + b"]><s>&t;</s>",
        "zip": b"PK\x03\x04" + bytes(100),
        "gzip": b"\x1f\x8b\x08" + bytes(60),
        "pickle": pickle.dumps(Evil()),
        "elf": b"\x7fELF" + bytes(200),
        "psd": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30_000, 30_000, 8, 3),
        "fits": b"SIMPLE  =                    T" + b" " * 2850,
        "jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(80),
        "icns": b"icns" + struct.pack(">I", 2**31),
        "ico": b"\0\0\1\0\xff\xff" + bytes(90),
        "dds": b"DDS " + bytes(200),
        "utf16": "ein Bild?".encode("utf-16"),
        "newlines": b"\n" * 5000,
        "riff": b"RIFF\xff\xff\xff\xffWEBPVP8X" + bytes(40),
        "avif": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(200),
        "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    }
    for name, data in foreign.items():
        for suffix in (".png", ".jpg", "." + name.split("-")[0]):
            yield name + suffix, data
    yield "image" + encoded(gradient("RGB"), "PNG").hex()[:40] + ".png", encoded(gradient("RGB"), "PNG") + eps


def _places(folder: Path) -> list[Path]:
    """Paths that are no files."""
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "nowhere.png").symlink_to(folder / "no" / "such.png")
    return [folder / f"{name}.png" for name in ("folder", "pipe", "loop", "zero", "nowhere", "absent")]


def large(folder: Path) -> list[Path]:
    """As many pixels as a public host takes, in the kinds that cost most, each from a small file."""
    side = int((MEGAPIXELS * 1e6) ** 0.5)
    kinds: list[tuple[str, str, dict[str, object]]] = [
        *(("PNG", mode, {}) for mode in ("I;16", "LA", "RGBA", "P")),
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "CMYK", {}),
        ("TIFF", "F", {"compression": "tiff_lzw"}),
        ("TIFF", "RGBA", {"compression": "tiff_deflate"}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("GIF", "P", {}),
        *([("AVIF", "RGB", {"speed": 10})] if "AVIF" in Image.SAVE else []),
    ]
    paths = []
    for kind, mode, options in kinds:
        path = folder / f"large-{mode.replace(';', '')}.{kind.lower()}"
        blank = Image.fromarray(np.zeros((side, side), np.uint16)) if mode == "I;16" else None
        path.write_bytes(encoded(blank or Image.new(mode, (side, side)), kind, **options))
        paths.append(path)
    passes = folder / "large-scans.jpeg"
    whole = encoded(Image.new("L", (side, side)), "JPEG", progressive=True)
    passes.write_bytes(scans(whole, 24 - whole.count(b"\xff\xda") + 1))
    return [*paths, passes]


def directory(tags: list[tuple[int, int, int, int]], at: int = 8) -> bytes:
    """The head of a TIFF with these tags: number, type, count, and value or place."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", at, len(tags)) + entries + bytes(4)


def overlapping(count: int, size: int) -> bytes:
    """A TIFF of 64 × 64 pixels with as many tags more, all of which are the same bytes; EXIF, as well."""
    start = 8 + 2 + 12 * (count + 9) + 4
    tags = [
        (256, 4, 1, 64),
        (257, 4, 1, 64),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, start),
    ]
    tags += [(277, 3, 1, 1), (278, 4, 1, 64), (279, 4, 1, 4096)]
    tags += [(40_000 + number, 7, size, start) for number in range(count)]
    return directory(tags) + b"\x55" * size


def strips(count: int) -> bytes:
    """A TIFF of 16 pixels across, each line of which is a strip of its own."""
    tags = [
        (256, 4, 1, 16),
        (257, 4, 1, count),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (277, 3, 1, 1),
    ]
    place = 8 + 2 + 12 * 9 + 4
    return directory([*tags, (278, 4, 1, 1), (273, 4, count, place), (279, 4, count, place)]) + bytes(
        4 * count
    )


def comment(size: int) -> bytes:
    """A GIF of one long comment, which Pillow appends to block by block."""
    blocks = (b"\xff" + b"a" * 255) * (size // 256)
    image = b",\0\0\0\0" + struct.pack("<HHB", 64, 64, 0) + b"\2\2\x44\1\0;"
    return (
        b"GIF89a" + struct.pack("<HHBBB", 64, 64, 0x80, 0, 0) + bytes(6) + b"!\xfe" + blocks + b"\0" + image
    )


def grey(pixels: int) -> bytes:
    """A PGM whose white is 254: Pillow scales it in Python, pixel by pixel."""
    side = int(pixels**0.5)
    return b"P5 %d %d 254\n" % (side, side) + bytes(side * side)


def bomb(size: int, key: str = "x") -> bytes:
    """A PNG with a recipe of so many characters, most of them small objects."""
    text = '{"kind": "transfer", "settings": {}, "%s": [' % key + "{}, " * (size // 4) + "{}]}"  # noqa: UP031
    return png(64, 64, 8, 2, chunk(b"iTXt", b"nstlib\0\0\0\0\0" + text.encode()), pixels=bytes(64 * 193))
