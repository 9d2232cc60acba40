"""Do the images stay the same when the code changes? Compares about fifty small images with earlier ones.

    python benchmarks/golden.py --save golden.npz       # before a change
    python benchmarks/golden.py --compare golden.npz    # after it: every value must be equal
    python benchmarks/golden.py --compare golden.npz --tolerance 0.004 --only onepass

One thread, float32. The images are equal only on one machine with one version of torch, so no file of them
is kept in the repository. Exits with 1 where an image differs by more than the tolerance."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

import nstlib

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SIZE = 96
METHODS = (
    *("linear", "poly", "poly(c=100)", "gram", "gaussian", "gaussian(bandwidth_factor=2)", "bn"),
    *("wasserstein", "coral", "cmd", "sliced", "energy", "laplace", "cubic", "bn:0.7+poly:0.3"),
)
RUNS = {  # fields of Settings
    "palette": {"palette": 0.0},
    "one size": {"levels": 1},
    "gamma": {"gamma": 7.0},
    "texture": {"alpha": 0.0},
    "random": {"start": "random", "palette": 0.0},
    "one pass first": {"start": "onepass"},
    "luminance": {"colours": "luminance"},
    "content's colours": {"colours": "content"},
    "style scale": {"style_scale": 1.5},
    "tv": {"tv": 5.0},
    "adam": {"optimizer": "adam"},
    "random weights": {"encoder": "vgg19-random"},
    "average pooling": {"pooling": "avg"},
    "layers": {"style_layers": ("relu1_1", "relu3_1"), "layer_weights": (2.0, 1.0)},
    "content layer": {"content_layers": ("relu3_1",)},
    "seed": {"method": "gaussian", "seed": 5},
}
NETWORKS = ("strokes-gram", "waves-bn")


def image(name: str, size: int = SIZE) -> torch.Tensor:
    """An example image, (1, 3, H, W)."""
    return nstlib.load_image(EXAMPLES / f"{name}.jpg", size)


def cases() -> dict[str, Callable[[], torch.Tensor]]:
    """Every case: a name, and what makes its image."""
    content, style = image("contents/valley"), image("styles/mosaic")
    styles = [style, image("styles/waves", 80)]
    left = torch.linspace(1, 0, content.shape[-1]).expand(1, 1, *content.shape[-2:])
    common = {"size": SIZE, "iterations": 6, "levels": 2, "dtype": "float32"}

    def run(**changes: object) -> torch.Tensor:
        return nstlib.stylize(content, style, **(common | changes))

    def mixed(**options: object) -> torch.Tensor:
        return nstlib.stylize(content, styles, **common, **options)

    def once(**options: object) -> torch.Tensor:
        return nstlib.onepass(content, options.pop("style", style), encoder=exact, **options)

    def last(steps: object) -> torch.Tensor:
        return [step for step in steps][-1].image

    exact = nstlib.load_encoder(dtype="float32")
    noise = {"size": SIZE, "iterations": 6, "dtype": "float32"}
    found: dict[str, Callable[[], torch.Tensor]] = {}
    for method in METHODS:
        found[f"run: {method}"] = lambda method=method: run(method=method)
        found[f"onepass: {method}"] = lambda method=method: once(method=method, seed=0)
    for name, changes in RUNS.items():
        found[f"run: {name}"] = lambda changes=changes: run(**changes)
    found |= {
        "run: style weights": lambda: mixed(style_weights=(0.3, 0.7)),
        "run: masks": lambda: mixed(masks=(left, 1 - left)),
        "onepass: style weights": lambda: once(style=styles, style_weights=(0.3, 0.7)),
        "onepass: masks": lambda: once(style=styles, masks=(left, 1 - left)),
        "onepass: strength": lambda: once(strength=0.5, detail=0.2),
        "onepass: two rounds": lambda: once(rounds=2),
        "onepass: without palette": lambda: once(palette=0.0, levels=1),
        "onepass: luminance": lambda: once(colours="luminance"),
        "reconstruct: style": lambda: last(nstlib.reconstruct_style(style, 3, **noise)),
        "reconstruct: content": lambda: last(nstlib.reconstruct_content(content, **noise)),
    }
    for name in NETWORKS:
        found[f"network: {name}"] = lambda name=name: nstlib.load_feedforward(name)(content)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--save", metavar="FILE", help="make the images and store them (.npz)")
    task.add_argument("--compare", metavar="FILE", help="make the images and compare them with stored ones")
    parser.add_argument("--tolerance", type=float, default=0.0, help="largest difference of a pixel's value")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the cases whose names contain TEXT")
    options = parser.parse_args()
    torch.set_num_threads(1)
    made = {name: make().numpy() for name, make in cases().items() if options.only in name}
    if options.save:
        np.savez_compressed(options.save, **made)
        print(f"{len(made)} images stored in {options.save}")
        return 0
    stored, wrong = np.load(options.compare), 0
    for name, pixels in made.items():
        if name not in stored:
            print(f"{name}: not stored before")
            continue
        same_shape = stored[name].shape == pixels.shape
        worst = float(np.abs(stored[name] - pixels).max()) if same_shape else float("inf")
        if not worst <= options.tolerance:
            wrong += 1
            print(f"{name}: differs by {worst:.2g}")
    print(f"{len(made) - wrong} of {len(made)} images within {options.tolerance:g}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
