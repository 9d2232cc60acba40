"""Image files written byte by byte: TIFF with any numbers and tags, and colour profiles."""

import struct
from collections.abc import Sequence

import numpy as np

SHORT, LONG, DOUBLE = 3, 4, 12
LETTERS = {SHORT: "H", LONG: "I", DOUBLE: "d"}
# Columns: the primaries of Display P3 in XYZ, adapted to D50.
P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])


def tiff(pixels: np.ndarray, kind: int = 1, bits: int = 0, **tags: tuple[int, int, Sequence[float]]) -> bytes:
    """An uncompressed TIFF. pixels: (H, W) or (H, W, 3), as they are stored. kind: its SampleFormat (1
    unsigned, 2 signed, 3 float). bits: of a sample, if not those of the array. tags: number, type, values."""
    height, width = pixels.shape[:2]
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    if bits == 12:  # two samples in three bytes
        pairs = pixels.reshape(-1, 2).astype(np.uint32)
        packed = pairs[:, 0] << 12 | pairs[:, 1]
        data = np.stack([packed >> 16, packed >> 8, packed], -1).astype(np.uint8).tobytes()
    entries = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [bits or 8 * pixels.itemsize] * samples),
        259: (SHORT, [1]),
        262: (SHORT, [2 if samples == 3 else 1]),
        273: (LONG, [0]),
        277: (SHORT, [samples]),
        278: (LONG, [height]),
        279: (LONG, [len(data)]),
        339: (SHORT, [kind] * samples),
    }
    entries |= {number: (letter, list(values)) for number, letter, values in tags.values()}
    at = 8 + 2 + 12 * len(entries) + 4
    more = b""
    heads = []
    for number, (letter, values) in sorted(entries.items()):
        text = struct.pack(f"<{len(values)}{LETTERS[letter]}", *values)
        if len(text) > 4:
            text, more = struct.pack("<I", at + len(more)), more + text
        heads.append((number, letter, len(values), text))
    place = struct.pack("<I", at + len(more))
    body = b"".join(
        struct.pack("<HHI", number, letter, count) + (place if number == 273 else text).ljust(4, b"\0")
        for number, letter, count, text in heads
    )
    return b"II*\0" + struct.pack("<IH", 8, len(heads)) + body + bytes(4) + more + data


def profile(space: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr", pcs: bytes = b"XYZ ") -> bytes:
    """An ICC profile of version 2."""
    at, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        table += name + struct.pack(">II", at + len(data), len(value))
        data += value.ljust(-(-len(value) // 4) * 4, b"\0")
    head = struct.pack(">I4sI4s4s4s12x4s", 0, b"lcms", 0x02400000, kind, space, pcs, b"acsp")
    head = head.ljust(68, b"\0") + struct.pack(">iii", 63190, 65536, 54061)
    text = head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data
    return struct.pack(">I", len(text)) + text[4:]


def gamma(exponent: float) -> bytes:
    return b"curv" + struct.pack(">IIH", 0, 1, round(256 * exponent))


def xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ " + struct.pack(">Iiii", 0, *(round(65536 * value) for value in (x, y, z)))


def rgb_profile(primaries: np.ndarray, exponent: float) -> bytes:
    """primaries: columns in XYZ, adapted to D50."""
    tags = {f"{name}XYZ".encode(): xyz(*primaries[:, k]) for k, name in enumerate("rgb")}
    tags |= {f"{name}TRC".encode(): gamma(exponent) for name in "rgb"}
    return profile(b"RGB ", tags | {b"wtpt": xyz(0.9642, 1, 0.8249)})


def grey_profile(exponent: float) -> bytes:
    return profile(b"GRAY", {b"kTRC": gamma(exponent), b"wtpt": xyz(0.9642, 1, 0.8249)})


def cmyk_profile(lightness: Sequence[float]) -> bytes:
    """Cyan, magenta, yellow and black alone, and no ink, have these lightnesses 0 … 100 and no colour."""
    steps = np.linspace(0, 255, 256).astype(np.uint8).tobytes()
    lab = []
    for node in range(16):
        inks = [lightness[k] for k in range(4) if node >> (3 - k) & 1]
        lab += [round(255 * min(inks, default=lightness[4]) / 100), 128, 128]
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut = b"mft1" + struct.pack(">I4B", 0, 4, 3, 2, 0) + identity + 4 * steps + bytes(lab) + 3 * steps
    return profile(b"CMYK", {b"A2B0": lut, b"A2B1": lut, b"wtpt": xyz(0.9642, 1, 0.8249)}, b"prtr", b"Lab ")


def encoded(linear: np.ndarray) -> np.ndarray:
    """Linear light in [0, 1] → sRGB in [0, 255], by its formula."""
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
