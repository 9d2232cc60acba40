"""Judges pictures: colours the style has not, grain, texture, what is kept of the content; and draws them.

    python benchmarks/pictures.py [--size 256] [--pairs FOLDER] [--peer] [--cache FOLDER] [--sheet FILE] …

Eight pairs of the repository's own pictures, or NAME_content.* and NAME_style.* of a folder. Every method
runs with its defaults and bare (palette=0); `--peer` adds the baseline of peer.py, minutes for a picture
(`--cache` keeps its results). Then medians over the pairs. See judge.py for what is measured; with
`--judge-weights` texture is seen by another trained network instead of a random one. content and style are
the bare method's own terms: relative error of the content's features, and its style loss.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import judge
import peer
import torch
from torch import Tensor
from torch.nn.functional import pad

import nstlib
from nstlib.synthesis.allocator import keep_memory
from nstlib.synthesis.regions import build_objective

EXAMPLES = Path(__file__).parent.parent / "examples"
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
    """(name, content, style) files."""
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
    """The bare method's own terms of any picture, at full size."""

    def __init__(self, content: Tensor, style: Tensor, method: str, encoder: nstlib.Encoder) -> None:
        settings = nstlib.Settings(method=method, levels=1, palette=0)
        self.encoder = encoder
        self.objective = build_objective(settings, encoder, content, (style,))

    def __call__(self, image: Tensor) -> tuple[float, float]:
        """Content error and style loss."""
        with torch.no_grad():
            terms = self.objective(image, self.encoder(image, self.objective.layers))
        return tuple(  # type: ignore[return-value]
            float(torch.stack([t for name, t in terms.items() if name.startswith(kind)]).sum())
            for kind in ("content", "style")
        )


def from_peer(
    name: str, content: Tensor, style: Tensor, encoder: nstlib.Encoder, cache: Path | None
) -> Tensor:
    file = None if cache is None else cache / f"{name}-{max(content.shape)}.png"
    if file is not None and file.exists():
        return nstlib.load_image(file)
    image = content
    for image in peer.transfer(content, style, encoder):  # noqa: B007
        pass
    return image if file is None else nstlib.load_image(nstlib.save_image(image, file))


def sheet(rows: list[list[Tensor]], file: Path) -> None:
    """Pictures side by side, a row for each pair: content, style, then the results."""
    height, width = (max(x.shape[d] for row in rows for x in row) for d in (2, 3))
    padded = [
        torch.cat([pad(x, (0, width + 4 - x.shape[3], 0, height + 4 - x.shape[2]), value=1) for x in row], 3)
        for row in rows
    ]
    nstlib.save_image(torch.cat(padded, 2), file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256, help="longest side in pixels")
    parser.add_argument("--pairs", type=Path, help="folder of NAME_content.* and NAME_style.*")
    parser.add_argument("--only", nargs="+", help="names of the pairs to take")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--palette", type=float, nargs="+", default=[0.0, nstlib.Settings().palette])
    parser.add_argument("--peer", action="store_true", help="the baseline, too: minutes a picture")
    parser.add_argument("--cache", type=Path, help="folder where the baseline's results are kept")
    parser.add_argument("--sheet", type=Path, help="contact sheet to draw")
    parser.add_argument("--judge-weights", type=Path, help="VGG-19's plan, trained, as .safetensors")
    options = parser.parse_args()
    keep_memory(large=True)
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
        if options.peer:
            start = time.perf_counter()
            row.append(from_peer(name, content, style, encoder, options.cache))
            own = Own(content, style, "wasserstein", encoder)(row[-1])
            verdict = judge.judge(row[-1], content, style, eye)
            report(name, "peer", "", verdict, *own, time.perf_counter() - start)
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
        sheet(rows, options.sheet)


if __name__ == "__main__":
    main()
