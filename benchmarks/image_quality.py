"""Scores images: out-of-palette colours, grain, texture, edges of the content; and shows them on a sheet.

    python benchmarks/image_quality.py [--size 256] [--pairs FOLDER] [--crowsonkb] [--cache FOLDER] …

Eight pairs of the repository's images, or NAME_content.* and NAME_style.* of a folder. Every method runs with
its defaults and without the palette term; `--crowsonkb` adds a baseline, crowsonkb.py, which takes minutes an
image (`--cache` keeps its results). Medians over the pairs follow. judge.py defines the scores; with
`--judge-weights` a trained network instead of a random one scores texture. content and style are the method's
own terms without the palette: relative error of the content's features, and style loss.
"""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import crowsonkb
import judge
import torch
from common import EXAMPLES, parser, sheet
from torch import Tensor

import nstlib
from nstlib.synthesis.allocator import adjust_allocator
from nstlib.synthesis.regions import build_objective

METHODS = ("linear", "poly", "gaussian", "bn", "wasserstein")
PAIRS = {
    "glass": "valley",
    "ink": "harbour",
    "waves": "still_life",
    "mosaic": "harbour",
    "dots": "valley",
    "hatching": "still_life",
    "grid": "harbour",
    "strokes": "valley",
}


def pairs(folder: Path | None, only: list[str] | None) -> Iterator[tuple[str, Path, Path]]:
    """Yields the name, the content's file and the style's file of every pair."""
    if folder is None:
        found = [
            (style, EXAMPLES / "contents" / f"{content}.jpg", EXAMPLES / "styles" / f"{style}.jpg")
            for style, content in PAIRS.items()
        ]
    else:
        contents = sorted(folder.glob("*_content.*"))
        styles = [next(folder.glob(c.stem.removesuffix("content") + "style.*")) for c in contents]
        found = [(c.stem.removesuffix("_content"), c, s) for c, s in zip(contents, styles, strict=True)]
    yield from (row for row in found if not only or row[0] in only)


class Own:
    """The method's own terms of any image at full size, without the palette."""

    def __init__(self, content: Tensor, style: Tensor, method: str, encoder: nstlib.encoders.Encoder) -> None:
        settings = nstlib.Settings(method=method, levels=1, palette=0)
        self.encoder = encoder
        self.objective = build_objective(settings, encoder, content, (style,))

    def __call__(self, image: Tensor) -> tuple[float, float]:
        """Returns content error and style loss."""
        with torch.no_grad():
            terms = self.objective(image, self.encoder(image, self.objective.layers))
        return tuple(  # type: ignore[return-value]
            float(torch.stack([t for name, t in terms.items() if name.startswith(kind)]).sum())
            for kind in ("content", "style")
        )


def from_crowsonkb(
    name: str, content: Tensor, style: Tensor, encoder: nstlib.encoders.Encoder, cache: Path | None
) -> Tensor:
    file = None if cache is None else cache / f"{name}-{max(content.shape)}.png"
    if file is not None and file.exists():
        return nstlib.load_image(file)
    image = content
    for image in crowsonkb.transfer(content, style, encoder):  # noqa: B007
        pass
    return image if file is None else nstlib.load_image(nstlib.save_image(image, file))


def main() -> None:
    arguments = parser(__doc__, size=256)
    arguments.add_argument("--pairs", type=Path, help="folder of NAME_content.* and NAME_style.*")
    arguments.add_argument("--only", nargs="+", help="names of the pairs to take")
    arguments.add_argument("--methods", nargs="+", default=METHODS)
    arguments.add_argument("--palette", type=float, nargs="+", default=[0.0, nstlib.Settings().palette])
    arguments.add_argument("--crowsonkb", action="store_true", help="the baseline, too: minutes per image")
    arguments.add_argument("--cache", type=Path, help="folder for the baseline's results")
    arguments.add_argument("--sheet", type=Path, help="file for a sheet: content, style, results by pair")
    arguments.add_argument("--judge-weights", type=Path, help="weights of a trained VGG-19, as .safetensors")
    options = arguments.parse_args()
    adjust_allocator(None)
    encoder, eye = nstlib.load_encoder(dtype="auto"), judge.judge_encoder(options.judge_weights)
    print(f"{options.size} px, {torch.get_num_threads()} threads, {encoder.dtype_name}")
    print(f"pair      method       palette {judge.HEADER}  content  style  seconds")
    table: dict[tuple[str, str], list[list[float]]] = {}
    rows: list[list[Tensor]] = []

    def show(pair: str, method: str, palette: str, verdict: judge.Verdict, *more: float) -> None:
        numbers = "  ".join(f"{value:7.4f}" for value in more[:2]) + f"  {more[2]:6.1f}"
        print(f"{pair:9} {method:12} {palette:>7} {verdict}  {numbers}", flush=True)

    def report(pair: str, method: str, palette: str, verdict: judge.Verdict, *more: float) -> None:
        show(pair, method, palette, verdict, *more)
        table.setdefault((method, palette), []).append([*vars(verdict).values(), *more])

    for name, content_file, style_file in pairs(options.pairs, options.only):
        content, style = (nstlib.load_image(file, options.size) for file in (content_file, style_file))
        row = [content, style]
        if options.crowsonkb:
            start = time.perf_counter()
            row.append(from_crowsonkb(name, content, style, encoder, options.cache))
            own = Own(content, style, "wasserstein", encoder)(row[-1])
            verdict = judge.judge(row[-1], content, style, eye)
            report(name, "crowsonkb", "", verdict, *own, time.perf_counter() - start)
        for method in options.methods:
            own_terms = Own(content, style, method, encoder)
            for palette in options.palette:
                start = time.perf_counter()
                image = nstlib.stylize(content, style, method=method, encoder=encoder, palette=palette)
                seconds = time.perf_counter() - start
                verdict = judge.judge(image, content, style, eye)
                report(name, method, f"{palette:g}", verdict, *own_terms(image), seconds)
                row.append(image)
        rows.append(row)
    print("\nmedian of", len(rows), "pairs")
    for (method, palette), found in table.items():
        middle = [statistics.median(column) for column in zip(*found, strict=True)]
        show("median", method, palette, judge.Verdict(*middle[:7]), *middle[7:])
    if options.sheet:
        sheet(rows, ["content", "style"], options.sheet)


if __name__ == "__main__":
    main()
