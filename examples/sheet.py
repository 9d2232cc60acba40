"""Draws the README's sheet: four methods, a γ sweep, fusions and layer-wise textures, from our own pictures.

python examples/sheet.py [--out docs/methods.jpg]
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
from torch import Tensor

import nstlib
from nstlib import figures
from nstlib.recipes import final_step

HERE = Path(__file__).parent
METHODS = {"linear": "linear", "poly": "polynomial", "gaussian": "Gaussian", "bn": "BN statistics"}


def picture(name: str, size: int) -> Tensor:
    return nstlib.load_image(HERE / f"{name}.jpg", size=size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "methods.jpg")
    parser.add_argument("--size", type=int, default=256, help="longest side in pixels")
    size = parser.parse_args().size
    out = parser.parse_args().out

    harbour, strokes = picture("contents/harbour", size), picture("styles/strokes", size)
    still_life, mosaic = picture("contents/still_life", size), picture("styles/mosaic", size)
    grid = [
        [nstlib.stylize(harbour, strokes, method=name) for name in METHODS],
        [nstlib.stylize(still_life, mosaic, method=name) for name in METHODS],
        [nstlib.stylize(harbour, mosaic, method="linear", gamma=gamma) for gamma in (0.1, 0.5, 2.0, 20.0)],
        [
            nstlib.stylize(still_life, strokes, method=f"bn:{share:g}+poly:{1 - share:.1f}", gamma=3.0)
            for share in (0.9, 0.7, 0.3, 0.1)
        ],
        [
            final_step(nstlib.reconstruct_style(strokes, layer=layer, method="poly")).image
            for layer in (1, 2, 3, 5)
        ],
    ]
    figures.setup(dpi=100)
    figure, axes = plt.subplots(len(grid), 4, figsize=(10.4, 10.6))
    titles = [
        list(METHODS.values()),
        [""] * 4,
        [f"linear, γ = {gamma:g}" for gamma in (0.1, 0.5, 2, 20)],
        [f"{share:g} BN + {1 - share:.1f} polynomial" for share in (0.9, 0.7, 0.3, 0.1)],
        ["texture from relu1_1", *(f"… up to relu{layer}_1" for layer in (2, 3, 5))],
    ]
    for axis_row, image_row, title_row in zip(axes, grid, titles, strict=True):
        for ax, image, title in zip(axis_row, image_row, title_row, strict=True):
            shown = image[..., : round(image.shape[-1] * 0.75), :]  # square textures at the same shape
            ax.imshow(nstlib.to_pil(shown))
            ax.set_title(title, fontsize=11)
            ax.axis("off")
    figure.savefig(out, pil_kwargs={"quality": 74})


if __name__ == "__main__":
    main()
