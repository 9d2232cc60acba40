"""Files of cameras, phones, scanners and editors: turned, with colour profiles, deep, unsupported."""

import gzip
import io
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import (
    DOUBLE,
    P3,
    SHORT,
    cmyk_profile,
    encoded,
    grey_profile,
    profile,
    rgb_profile,
    tiff,
)
from PIL import Image, ImageFile
from torch import Tensor

from nstlib import ImageError, load_image
from nstlib.images import image_size, isolation, load_mask, opening

UNDO = {  # EXIF's number → how the upright pixels are stored
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


def levels(image: Tensor) -> np.ndarray:
    """(H, W, 3) in 0 … 255."""
    return (255 * image[0].permute(1, 2, 0)).round().numpy().astype(int)


def slopes() -> np.ndarray:
    y, x = np.mgrid[:20, :36]
    return np.stack([6 * x, 10 * y, 3 * (x + y)], -1).astype(np.uint8)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_orientation_of_every_kind_of_file(mode: str, turn: int, tmp_path: Path) -> None:
    upright = slopes() if mode == "RGB" else slopes()[..., 0]
    expected = np.broadcast_to(upright if mode == "RGB" else upright[..., None], (20, 36, 3))
    small = load_image(Image.fromarray(upright), 30)
    stored = Image.fromarray(np.ascontiguousarray(UNDO[turn](upright)))
    exif = Image.Exif()
    exif[0x0112] = turn
    files = {
        "raw.tif": {"tiffinfo": {274: turn}},
        "lzw.tif": {"tiffinfo": {274: turn}, "compression": "tiff_lzw"},
        "a.png": {"exif": exif},
        "a.webp": {"exif": exif, "lossless": True},
    }
    for name, options in files.items():
        path = tmp_path / name
        stored.save(path, **options)
        assert image_size(path) == (36, 20), name
        for source in (path, Image.open(path), io.BytesIO(path.read_bytes())):
            np.testing.assert_array_equal(levels(load_image(source)), expected, name)
        torch.testing.assert_close(load_image(path, 30), small, atol=2.5 / 255, rtol=0)


COLOURS = np.array([[220, 60, 50], [60, 200, 90], [40, 70, 210], [128, 128, 128], [255, 255, 255]], np.uint8)


def in_srgb(colours: np.ndarray, exponent: float) -> np.ndarray:
    """Display P3 colours as sRGB, by the primaries of both in CIE xy and the white D65, without a profile."""

    def to_xyz(corners: list[tuple[float, float]]) -> np.ndarray:
        columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in corners]).T
        white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
        return columns * np.linalg.solve(columns, white)

    p3 = to_xyz([(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)])
    srgb = to_xyz([(0.640, 0.330), (0.300, 0.600), (0.150, 0.060)])
    return encoded((colours / 255) ** exponent @ np.linalg.solve(srgb, p3).T)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("JPEG", {"quality": 100, "subsampling": 0}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        pytest.param("AVIF", {"quality": 100, "subsampling": "4:4:4"}, marks=pytest.mark.skipif(
            "AVIF" not in opening.known_formats(), reason="this Pillow has no AVIF")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [None, 40])
def test_a_colour_profile_is_converted_to_srgb(
    kind: str, options: dict[str, object], size: int | None
) -> None:
    for exponent in (1.8, 2.2):
        for colour, expected in zip(COLOURS, in_srgb(COLOURS, exponent), strict=True):
            file = io.BytesIO()
            picture = Image.new("RGB", (400, 160), tuple(colour.tolist()))  # large enough for JPEG to shrink
            picture.save(file, kind, icc_profile=rgb_profile(P3, exponent), **options)
            found = levels(load_image(file, size)).reshape(-1, 3)
            assert np.abs(found - expected).max() < 4, (kind, colour, found[0], expected)


def test_profiles_of_grey_cmyk_palettes_and_transparency() -> None:
    grey = {"icc_profile": grey_profile(1.0)}  # linear light
    half = encoded(np.array(128 / 255))

    def read(picture: Image.Image, kind: str, **options: object) -> np.ndarray:
        file = io.BytesIO()
        picture.save(file, kind, **options)
        return levels(load_image(file))[5, 5]

    assert np.abs(read(Image.new("L", (20, 20), 128), "PNG", **grey) - half).max() < 2
    assert np.abs(read(Image.new("L", (20, 20), 128), "TIFF", **grey) - half).max() < 2
    deep = Image.fromarray(np.full((20, 20), 128 * 257, np.uint16))
    assert np.abs(read(deep, "PNG", **grey) - half).max() < 2
    wide = {"icc_profile": rgb_profile(P3, 2.2)}
    assert (
        np.abs(read(Image.new("L", (20, 20), 128), "JPEG", **wide) - 128).max() < 3
    )  # grey is the same grey
    red = in_srgb(COLOURS[:1], 2.2)[0]
    palette = Image.new("RGB", (20, 20), tuple(COLOURS[0].tolist())).convert(
        "P", palette=Image.Palette.ADAPTIVE
    )
    assert np.abs(read(palette, "PNG", **wide) - red).max() < 4
    clear = Image.new("RGBA", (20, 20), (*COLOURS[0].tolist(), 128))
    assert np.abs(read(clear, "PNG", **wide) - (255 + (red - 255) * 128 / 255)).max() < 4
    assert read(Image.new("RGBA", (20, 20), (9, 99, 200, 0)), "PNG", **wide).tolist() == [255, 255, 255]

    # L* 50 is 18.4 % of the light
    inks = {"icc_profile": cmyk_profile([50, 60, 90, 0, 100])}
    for cmyk, lightness in (
        ((255, 0, 0, 0), 50),
        ((0, 255, 0, 0), 60),
        ((0, 0, 0, 0), 100),
        ((0, 0, 0, 255), 0),
    ):
        expected = encoded(np.array(((lightness + 16) / 116) ** 3 if lightness > 8 else 0))
        assert np.abs(read(Image.new("CMYK", (20, 20), cmyk), "TIFF", **inks) - expected).max() < 4, cmyk


def test_srgb_s_own_profile_leaves_the_pixels_alone() -> None:
    from PIL import ImageCms

    file = io.BytesIO()
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(slopes()).save(file, "PNG", icc_profile=own)
    np.testing.assert_array_equal(levels(load_image(file)), slopes())


@pytest.mark.parametrize(
    "broken",
    [
        b"no profile",
        rgb_profile(P3, 2.2)[:200],
        profile(b"RGB ", {}),
        cmyk_profile([0, 0, 0, 0, 0]),
        grey_profile(1.8),
        b"\xff" * 3000,
    ],
    ids=["words", "cut off", "empty", "of another space", "for grey", "noise"],
)
def test_a_profile_that_cannot_be_used_is_ignored_with_a_warning(broken: bytes, tmp_path: Path) -> None:
    path = tmp_path / "holiday.png"
    Image.fromarray(slopes()).save(path, icc_profile=broken)
    with pytest.warns(UserWarning, match=r"profile of .*holiday\.png cannot be used"):
        image = load_image(path)
    np.testing.assert_array_equal(levels(image), slopes())


RAMP = np.linspace(0, 1, 24 * 32).reshape(24, 32)
TWELVE = (4095 * RAMP).astype(np.uint16)
WHITE = {"told": (281, SHORT, [4095])}  # MaxSampleValue
RANGES = {
    "floats to 1": (RAMP.astype(np.float32), {"kind": 3}, RAMP),
    "floats a little over 1": ((1.0001 * RAMP).astype(np.float32), {"kind": 3}, RAMP),
    "floats with highlights": ((4 * RAMP).astype(np.float32), {"kind": 3}, np.minimum(4 * RAMP, 1)),
    "floats to 255": ((255 * RAMP).astype(np.float32), {"kind": 3}, RAMP),
    "floats a little over 255": ((255.5 * RAMP).astype(np.float32), {"kind": 3}, RAMP),
    "floats to 65535": ((65535 * RAMP).astype(np.float32), {"kind": 3}, RAMP),
    "int32 of 8 bits": ((255 * RAMP).astype(np.int32), {"kind": 2}, RAMP),
    "int32 of 16 bits": ((65535 * RAMP).astype(np.int32), {"kind": 2}, RAMP),
    "int32": (((2**31 - 1) * RAMP).astype(np.int32), {"kind": 2}, RAMP),
    "uint32": (((2**32 - 1) * RAMP).astype(np.uint32), {}, RAMP),
    "int16": ((32767 * RAMP).astype(np.int16), {"kind": 2}, RAMP),
    "uint16": ((65535 * RAMP).astype(np.uint16), {}, RAMP),
    "dark uint16": ((200 * RAMP).astype(np.uint16), {}, 200 / 65535 * RAMP),
    "12 bits in 16": (TWELVE, WHITE, RAMP),
    "12 bits in 16, SMaxSampleValue": (TWELVE, {"told": (341, SHORT, [4095])}, RAMP),
    "12 bits in 16, its largest value": (TWELVE, {"told": (281, SHORT, [3900])}, RAMP),
    "12 bits": (TWELVE, {"bits": 12}, RAMP),
    "12 bits in floats": ((4095 * RAMP).astype(np.float32), {"kind": 3, "told": (341, DOUBLE, [4095])}, RAMP),
    "16 bits that say 12": ((65535 * RAMP).astype(np.uint16), WHITE, RAMP),
    "white is zero": ((65535 * RAMP).astype(np.uint16), {"ink": (262, SHORT, [0])}, 1 - RAMP),
}  # fmt: skip


@pytest.mark.parametrize("name", RANGES)
def test_the_range_of_values_is_that_of_the_type_and_its_tags(name: str, tmp_path: Path) -> None:
    values, tags, expected = RANGES[name]
    (tmp_path / "deep.tif").write_bytes(tiff(values, **tags))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if "highlights" in name else "error")
        found = load_image(tmp_path / "deep.tif")
    np.testing.assert_allclose(found[0, 1].numpy(), expected, atol=1.1 / 255)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (2 * RAMP - 1, r"clipped to 0 … 1; .*-1 … 1: save \(image \+ 1\) / 2"),
        (np.where(RAMP < 0.9, 2 * RAMP - 1, np.nan), r"-1 … 1"),
        (np.where(RAMP < 0.9, RAMP, np.nan), r"NaN becomes 0; bring them into this range"),
        (1.5 * RAMP, r"clipped to 0 … 1; bring them"),
        (300 * RAMP, r"clipped to 0 … 255; bring them"),
        ((40000 * (RAMP - 0.5)).astype(np.int16), r"clipped to 0 … 32767; bring them"),
    ],
    ids=["-1 … 1", "-1 … 1 and NaN", "NaN", "over 1", "over 255", "signed"],
)
def test_values_that_are_clipped_are_said_once(values: np.ndarray, words: str, tmp_path: Path) -> None:
    whole = values.dtype.kind == "i"
    (tmp_path / "x.tif").write_bytes(
        tiff(values if whole else values.astype(np.float32), kind=2 if whole else 3)
    )
    with pytest.warns(UserWarning, match=rf"^the values of .*x\.tif are .*{words}") as caught:
        load_image(tmp_path / "x.tif")
    assert len(caught) == 1


def test_single_strange_values_do_not_decide_the_range() -> None:
    values = np.tile(RAMP, (4, 4)).astype(np.float32)
    values[0, :4] = (np.nan, np.inf, -np.inf, 5000)
    with pytest.warns(UserWarning, match="NaN becomes 0"):
        found = load_image(io.BytesIO(tiff(values, kind=3)))
    np.testing.assert_allclose(found[0, 0].numpy()[1:], values[1:], atol=1 / 255)
    with pytest.warns(UserWarning, match="NaN becomes 0"):
        blank = load_image(io.BytesIO(tiff(np.full((20, 20), np.nan, np.float32), kind=3)))
    assert blank.max() == 0


def test_colours_of_12_bits_in_16_are_not_black() -> None:
    values = np.full((20, 20, 3), 4095, np.uint16)
    assert load_image(io.BytesIO(tiff(values, told=(281, SHORT, [4095] * 3)))).min() == 1
    assert load_image(io.BytesIO(tiff(values, told=(281, SHORT, [65535] * 3)))).max() < 0.1


def test_ppm_of_16_bits_is_scaled_by_its_own_maximum() -> None:
    pixels = (1000 * RAMP).astype(">u2")
    image = load_image(io.BytesIO(b"P5 32 24 1000\n" + pixels.tobytes()))
    np.testing.assert_allclose(image[0, 0].numpy(), RAMP, atol=1.1 / 255)


@pytest.mark.parametrize(
    ("name", "head", "words"),
    [
        ("photo.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC is not supported; .*pillow-heif"),
        ("photo.jpg", b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf", "HEIC is not supported; save it as JPEG"),
        ("photo.jp2", b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000 is not supported; save it as JPEG or PNG"),
        ("photo.j2k", b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000 is not supported"),
        ("photo.jxl", b"\xff\x0a\0\0", "JPEG XL is not supported"),
        ("drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG is not supported; draw it"),
        ("drawing.svgz", gzip.compress(b"<svg/>", mtime=0), "SVG is not supported; draw it"),
        ("volume.nii.gz", gzip.compress(b"of another kind", mtime=0), "is it damaged, or another kind"),
        ("drawing.svg", b'<?xml version="1.0"?>\n<!-- me -->\n<SVG/>', "SVG is not supported"),
    ],
)  # fmt: skip
def test_formats_that_are_not_supported_are_named(name: str, head: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(head.ljust(100, b" "))
    for read in (load_image, load_mask, image_size):
        with pytest.raises(ImageError, match=f"{name}.*{words}"):
            read(path)


def test_pillow_heif_is_used_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stub(ImageFile.ImageFile):
        format = "HEIF"

        def _open(self) -> None:
            self._mode, self._size = "RGB", (30, 20)
            self.tile = [ImageFile._Tile("raw", (0, 0, 30, 20), 100, ("RGB", 0, 1))]

    def register() -> None:
        Image.register_open("HEIF", Stub, lambda head: head[4:12] == b"ftypheic")

    path = tmp_path / "photo.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic".ljust(100, b"\0") + slopes()[:20, :30].tobytes())
    with monkeypatch.context() as patched:
        patched.setattr(isolation, "_pool", None)  # a child process would not have the stub
        patched.setitem(sys.modules, "pillow_heif", types.SimpleNamespace(register_heif_opener=register))
        patched.setitem(Image.OPEN, "HEIF", None)
        opening.known_formats.cache_clear()
        np.testing.assert_array_equal(levels(load_image(path)), slopes()[:20, :30])
    opening.known_formats.cache_clear()
    Image.ID.remove("HEIF")
    with pytest.raises(ImageError, match="HEIC is not supported"):
        load_image(path)


def brushed(mode: str) -> tuple[Image.Image, np.ndarray]:
    """A mask of a bright or opaque left half, and what it should be."""
    expected = np.zeros((20, 30), np.float32)
    expected[:, :15] = 1
    expected[:, 15:20] = 128 / 255
    half = (255 * expected).astype(np.uint8)
    layers = {"white": 255 + 0 * half, "black": 0 * half, "grey": half}
    name, _, kind = mode.partition(" ")
    image = Image.fromarray(layers[name])
    if kind:
        image.putalpha(Image.fromarray(half) if kind == "alpha" else Image.new("L", (30, 20), 255))
    return image, expected


@pytest.mark.parametrize("mode", ["grey", "white alpha", "black alpha", "grey opaque"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_a_mask_is_its_opacity_where_it_has_any(mode: str, kind: str) -> None:
    picture, expected = brushed(mode)
    file = io.BytesIO()
    picture = picture if kind != "WEBP" else picture.convert("RGBA" if "A" in picture.mode else "RGB")
    picture.save(file, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    mask = load_mask(file)
    assert mask.shape == (1, 1, 20, 30)
    np.testing.assert_allclose(mask[0, 0].numpy(), expected, atol=1 / 255)


@pytest.mark.parametrize("size", ["512", 15, float("nan"), float("inf"), True, (64, 64)])
def test_a_size_that_is_no_length_is_refused(size: object) -> None:
    with pytest.raises(ImageError, match="longest side in pixels and must be a number of at least 16"):
        load_image(brushed("grey")[0], size)


def test_masks_of_palettes_depth_and_profiles_keep_their_values(tmp_path: Path) -> None:
    picture, expected = brushed("grey")
    deep = Image.fromarray((65535 * expected).astype(np.uint16))
    palette = Image.fromarray((expected < 1).astype(np.uint8)).convert("P")
    for name, image, options in (
        ("deep.png", deep, {}),
        ("profile.png", picture, {"icc_profile": grey_profile(1.0)}),
        ("palette.png", palette, {"transparency": 1}),
    ):
        image.save(tmp_path / name, **options)
        wanted = expected if name != "palette.png" else (expected == 1)
        np.testing.assert_allclose(
            load_mask(tmp_path / name)[0, 0].numpy(), wanted, atol=1 / 255, err_msg=name
        )
    assert load_mask(tmp_path / "deep.png", 60).shape == (1, 1, 40, 60)


@pytest.mark.parametrize(
    ("colour", "value"), [((255, 255, 255, 255), 1), ((255, 0, 0, 0), 0), ((0, 0, 0, 128), 0.5)]
)
def test_a_mask_of_one_value_is_read_with_a_warning(
    colour: tuple[int, ...], value: float, tmp_path: Path
) -> None:
    path = tmp_path / "blank.png"
    Image.new("RGBA", (20, 20), colour).save(path)
    with pytest.warns(UserWarning, match=r"blank\.png has the value .* everywhere; paint white"):
        mask = load_mask(path)
    assert abs(mask.mean().item() - value) < 0.01
    with (
        pytest.warns(UserWarning, match=r"^the mask has the value .* everywhere"),
        Image.open(path) as opened,
    ):
        load_mask(opened)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_mask(brushed("grey")[0])
