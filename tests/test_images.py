"""Reading whatever Pillow reads, refusing the rest by name, and recipes that survive the disk."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import nstlib
from nstlib import ImageError, load_image, read_recipe, save_image
from nstlib.__main__ import main
from nstlib.images import image_info


def gradient(width: int = 40, height: int = 24) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 6, y * 10, (x + y) * 4], -1).astype(np.uint8)


@given(st.integers(16, 60), st.integers(16, 60))
@settings(max_examples=20, deadline=None)
def test_a_png_comes_back_exactly(width: int, height: int) -> None:
    pixels = gradient(width, height)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    file.seek(0)
    image = load_image(file)
    assert image.shape == (1, 3, height, width) and image.dtype == torch.float32
    np.testing.assert_array_equal((image[0].permute(1, 2, 0) * 255).round().numpy(), pixels)


@given(st.integers(16, 300), st.integers(16, 300), st.integers(32, 200))
@settings(max_examples=30, deadline=None)
def test_size_is_the_longest_side_and_the_aspect_is_kept(width: int, height: int, size: int) -> None:
    scale = size / max(width, height)
    source = Image.new("RGB", (width, height), "teal")
    if min(width, height) * scale < 15.5:
        with pytest.raises(ImageError, match="shorter side must be at least 16 px after resizing"):
            load_image(source, size)
        return
    found = load_image(source, size).shape[2:]
    assert max(found) == size
    assert abs(found[0] - height * scale) <= 0.5 and abs(found[1] - width * scale) <= 0.5


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16"]
)
def test_every_mode_becomes_rgb(mode: str, tmp_path: Path) -> None:
    if mode == "I;16":
        picture = Image.fromarray((np.mgrid[:20, :30][1] * 2000).astype(np.uint16))
    else:
        picture = Image.new(mode, (30, 20))
    image = load_image(picture)
    assert image.shape == (1, 3, 20, 30)
    assert 0 <= image.min() and image.max() <= 1


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 32 * 20).reshape(20, 32).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    image = load_image(tmp_path / "deep.png")
    np.testing.assert_allclose(image[0, 1].numpy(), values / 65535, atol=1 / 255)


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    picture = Image.fromarray(gradient())
    exif = picture.getexif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90° to show
    picture.save(tmp_path / "turned.png", exif=exif)
    expected = load_image(picture.transpose(Image.Transpose.ROTATE_270))
    torch.testing.assert_close(load_image(tmp_path / "turned.png"), expected)


def test_transparency_is_composited_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((20, 20, 4), np.uint8)  # transparent black
    pixels[:, 10:] = (255, 0, 0, 128)
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    image = load_image(tmp_path / "clear.png")
    assert image[0, :, 5, 5].tolist() == [1, 1, 1]
    torch.testing.assert_close(
        image[0, :, 5, 15], torch.tensor([1, 127 / 255, 127 / 255]), atol=2 / 255, rtol=0
    )
    palette = Image.fromarray(pixels).convert("P")
    palette.save(tmp_path / "palette.png", transparency=palette.getpixel((2, 2)))
    assert load_image(tmp_path / "palette.png")[0, :, 5, 5].tolist() == [1, 1, 1]


def test_the_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert load_image(tmp_path / "moving.gif")[0, :, 0, 0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("content", [b"", b"this is no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_unreadable_files_are_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "holiday.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"holiday\.png"):
        load_image(path)


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "half.jpg"
    noise = torch.randint(0, 255, (64, 64, 3), generator=torch.Generator().manual_seed(0)).byte().numpy()
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(ImageError, match=r"half\.jpg"):
        load_image(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg"):
        load_image(tmp_path / "nowhere.jpg")
    with pytest.raises(ImageError, match=tmp_path.name):
        load_image(tmp_path)


def test_size_limits() -> None:
    with pytest.raises(ImageError, match="200 x 100 px, over the limit of 0.01 million pixels"):
        load_image(Image.new("RGB", (200, 100)), max_pixels=10_000)
    with pytest.raises(ImageError, match="15 x 90 px; the shorter side must be at least 16 px"):
        load_image(Image.new("RGB", (15, 90)))
    with pytest.raises(ImageError, match="at least 16, got 3"):
        load_image(Image.new("RGB", (90, 90)), size=3)


def test_a_decompression_bomb_is_refused_before_decoding(tmp_path: Path) -> None:
    from attack.corpus import png

    path = tmp_path / "bomb.png"
    path.write_bytes(png(30_000, 30_000, 8, 2))  # 900 million pixels, by its header
    with pytest.raises(ImageError, match=r"bomb\.png is 30000 x 30000 px, over the limit of 268\.4"):
        load_image(path)
    path.write_bytes(png(10_000, 10_000, 8, 2))
    with pytest.raises(ImageError, match=r"bomb\.png is 10000 x 10000 px"):
        load_image(path, max_pixels=64_000_000)


def test_images_of_16384_pixels_a_side_are_accepted_and_no_larger_ones(tmp_path: Path) -> None:
    """Pillow's own limit is 13,377 a side. A PPM is opened by its header alone."""
    path = tmp_path / "huge.ppm"
    path.write_bytes(b"P6 16384 16384 255\n")
    assert image_info(path) == (16384, 16384, "PPM")
    path.write_bytes(b"P6 16384 16385 255\n")
    with pytest.raises(ImageError, match=r"huge\.ppm is 16384 x 16385 px, over the limit of 268\.4"):
        image_info(path)


@pytest.mark.parametrize("area", [1, 100, 41 * 10])
def test_images_become_pillow_images_strip_by_strip(area: int, monkeypatch) -> None:
    monkeypatch.setattr("nstlib.images.files.STRIP", area)
    image = torch.rand(1, 3, 37, 41, generator=torch.Generator().manual_seed(0))
    image[..., 0, :2] = torch.tensor([-0.0005, 1.0005])  # an overshoot is clamped
    before = image.clone()
    expected = (image[0].numpy().clip(0, 1) * 255).round().astype("uint8").transpose(1, 2, 0)
    assert (np.asarray(nstlib.to_pil(image)) == expected).all() and image.equal(before)


def test_recipes_survive_the_disk(tmp_path: Path) -> None:
    image = torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    recipe = {"settings": {"method": "bn:0.7+poly:0.3", "gamma": 2.0}, "note": "Grüße"}
    path = save_image(image, tmp_path / "out.png", recipe)
    assert read_recipe(path) == recipe
    image.recipe = {"from": "the tensor"}  # type: ignore[attr-defined]
    assert read_recipe(save_image(image, path)) == {"from": "the tensor"}
    torch.testing.assert_close(load_image(path), image, atol=0.5 / 255 + 1e-6, rtol=0)
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]


def test_no_recipe_is_said(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "plain.png")
    (tmp_path / "text.png").write_text("hello")
    for name, error, words in (
        ("plain.png", ImageError, "plain.png holds no nstlib recipe"),
        ("text.png", ImageError, "cannot read .*text.png as an image"),
        ("absent.png", FileNotFoundError, "no such image file: .*absent.png"),
    ):
        with pytest.raises(error, match=words):
            read_recipe(tmp_path / name)


def test_what_a_user_would_not_expect_is_said(tmp_path: Path) -> None:
    """Only one frame of several is used, and an image that is enlarged much has no detail."""
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    for name in ("a.gif", "a.png", "a.webp", "a.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with pytest.warns(UserWarning, match=rf"{name} has several frames and only the first is used"):
            load_image(tmp_path / name, 64)
    frames[0].save(tmp_path / "b.gif")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_image(tmp_path / "b.gif", 80)
    with pytest.warns(UserWarning, match=r"b.gif has only 20 x 20 px and was enlarged: give a larger image"):
        load_image(tmp_path / "b.gif", 81)
    Image.new("RGB", (3000, 2)).save(tmp_path / "thin.png")
    with pytest.raises(ImageError, match=r"thin.png is 64 x 1 px at the size 64; .* choose a size above 64"):
        load_image(tmp_path / "thin.png", 64)


def test_saving_mistakes_are_named(tmp_path: Path) -> None:
    image = torch.zeros(1, 3, 20, 20)
    for name, words in (
        ("out.xyz", "unknown image type '.xyz'; use .png"),
        ("out", "its name has no suffix; use .png"),
        ("", "it is a folder: name a file in it"),
        ("out.gif", "GIF has only 256 colours"),
    ):
        with pytest.raises(ImageError, match=words):
            save_image(image, tmp_path / name)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        save_image(image, tmp_path / "no" / "out.png")
    with pytest.raises(ValueError, match=r"\(1, 3, H, W\)"):
        nstlib.to_pil(torch.zeros(2, 3, 4, 4))


def test_a_format_that_cannot_hold_the_image_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pillow refuses such a WebP only when it writes the file."""
    long, out = tmp_path / "long.png", tmp_path / "out.webp"
    Image.new("RGB", (16384, 16)).save(long)
    with pytest.raises((ValueError, OSError)):
        Image.new("RGB", (16384, 1)).save(tmp_path / "pillow.webp")
    Image.new("RGB", (16383, 1)).save(tmp_path / "pillow.webp")
    monkeypatch.setattr("nstlib.recipes.transfer", None)  # no work begins
    monkeypatch.setattr("nstlib.feedforward.prepare", None)
    for command in (["transfer", long, long], ["onepass", long, long], ["apply", "strokes-gram", long]):
        size = [] if command[0] == "apply" else ["--size", "full"]
        assert main([*map(str, command), "-o", str(out), *size]) == 2
        assert "WEBP holds at most 16383 px a side, and the image is 16384 x 16" in capsys.readouterr().err
    with pytest.raises(ImageError, match="JPEG holds at most 65500 px a side"):
        nstlib.save_image(torch.zeros(1, 3, 1, 65501), tmp_path / "out.jpg")
    assert not out.exists()


def test_a_file_that_would_not_fit_in_memory_is_refused_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = tmp_path / "large.png"
    Image.new("L", (5000, 4000)).save(large)
    monkeypatch.setattr("nstlib.images.isolation._pool", None)  # an app before may have begun to decode apart
    monkeypatch.setattr("nstlib.images.decoding.free_host_memory", lambda: 4e8)
    with pytest.raises(
        MemoryError, match=r"large.png is 5000 x 4000 px: .* 0.5 GB .* 0.4 GB are free; shrink"
    ):
        nstlib.load_image(large)
    monkeypatch.setattr(
        "nstlib.images.decoding.upright", lambda image, *_: image.convert("RGB").resize((64, 64))
    )
    assert nstlib.load_image(large, 64).shape == (1, 3, 64, 64)  # which needs less
    assert nstlib.images.image_size(large) == (5000, 4000)
