"""What do tiles cost, and do they show? Steps in tiles against steps on the whole image, and a figure.

    python benchmarks/tiles.py [--size 1024] [--tile 512] [--figure docs/tiles.jpg] [--large docs/large.jpg]

Prints the time of a step in tiles over that of a step on the whole image, for the default preset. The figure
shows a run on the whole image, the same run in tiles of 128 px, and the same settings on each tile by itself,
with their differences from the first, enlarged. The large figure shows a region of a run at 768 px beside the
same region of a run at four times the size, in tiles within a budget of 2 GB.
"""

import time
from pathlib import Path
from statistics import median
from unittest import mock

import torch
from common import pair, parser, sheet, square
from torch import Tensor
from torch.nn.functional import interpolate

import nstlib
from nstlib.recipes import final_step
from nstlib.synthesis import memory, regions, tiles
from nstlib.synthesis.objective import Objective

SMALL, STEPS = 128, 24  # px of a tile of the figure, and steps of its runs
MORE = 20  # by how much the figure enlarges differences


def step(objective: Objective, encoder: nstlib.encoders.Encoder, image: Tensor, tile: int | None) -> float:
    """Returns the seconds of one gradient."""
    start, x = time.perf_counter(), image.clone().requires_grad_(True)
    loss = torch.stack(list(objective.compare(tiles.embed(objective, encoder, x, tile)).values())).sum()
    torch.autograd.grad(loss, x)
    return time.perf_counter() - start


def compare_steps(size: int, tile: int, repeats: int = 5) -> None:
    """Prints times of both kinds of step, taken in turns."""
    content, style = square("contents/harbour", size), square("styles/strokes", size)
    encoder = nstlib.load_encoder(dtype="auto")
    objective = regions.build_objective(nstlib.Settings(), encoder, content, [style])
    times = {kind: [] for kind in (None, tile)}
    for turn in range(repeats + 1):
        for kind, seconds in times.items():
            seconds += [step(objective, encoder, content, kind)] if turn else []
    whole, parts = (median(seconds) for seconds in times.values())
    print(f"{size} px: {whole:.2f} s; in tiles of {tile} px {parts:.2f} s, {parts / whole:.2f} times")


def run(content: Tensor, style: Tensor, tile: int | None) -> Tensor:
    """Returns the image of a run with these tiles."""
    with mock.patch("nstlib.synthesis.run.choose_plan", lambda *_: memory.Plan(tile)):
        return nstlib.stylize(content, style, iterations=STEPS, levels=1, dtype="float32")


def draw(file: Path) -> None:
    """Writes the figure, and prints the differences at the borders of tiles and elsewhere."""
    content, style = pair("harbour", "strokes", 3 * SMALL)
    content = content[..., : 2 * SMALL, :]
    whole, parts = run(content, style, None), run(content, style, SMALL)
    alone = torch.cat(
        [
            torch.cat([run(x, style, None) for x in row.split(SMALL, 3)], 3)  # type: ignore[no-untyped-call]
            for row in content.split(SMALL, 2)  # type: ignore[no-untyped-call]
        ],
        2,
    )
    border = torch.zeros(content.shape[2:], dtype=torch.bool)
    for n in range(SMALL, max(content.shape), SMALL):
        border[n - 2 : n + 2], border[:, n - 2 : n + 2] = True, True
    for name, image in (("in tiles", parts), ("each tile by itself", alone)):
        away = (image - whole).abs().mean(1)[0] * 255
        print(f"{name}: {away[border].mean():.3f}/255 at borders, {away[~border].mean():.3f}/255 elsewhere")
    rows = [
        [whole, parts, alone],
        [whole * 0, *(((x - whole).abs() * MORE).clamp(0, 1) for x in (parts, alone))],
    ]
    sheet(rows, ["the whole image", f"tiles of {SMALL} px", "each tile by itself"], file)


def draw_large(file: Path, small: int = 768, times: int = 4, part: int = 160) -> None:
    """Writes the figure of a region at a small size and at `times` the size."""
    top, left = 96, 300
    results = []
    for size in (small, times * small):
        content, style = pair("harbour", "strokes", size)
        last = final_step(nstlib.transfer(content, style, memory="2GB"))
        print(f"{content.shape[3]} x {content.shape[2]} px, tiles of {last.tile} px: {last.seconds:.0f} s")
        results.append(last.image)
    regions_of = [
        x[..., k * top : k * (top + part), k * left : k * (left + part)]
        for k, x in zip((1, times), results, strict=True)
    ]
    enlarged = interpolate(regions_of[0], regions_of[1].shape[2:], mode="bicubic").clamp(0, 1)
    names = [f"region at {small} px, enlarged", f"the same region at {times * small} px"]
    sheet([[enlarged, regions_of[1]]], names, file, width=4.5)


def main() -> None:
    arguments = parser(__doc__, 1024)
    arguments.add_argument("--tile", type=int, default=512, help="side of a tile in pixels")
    arguments.add_argument("--figure", type=Path, help="write the figure here")
    arguments.add_argument("--large", type=Path, help="write the figure of a large image here")
    options = arguments.parse_args()
    if options.figure:
        draw(options.figure)
    elif options.large:
        draw_large(options.large)
    else:
        compare_steps(options.size, options.tile)


if __name__ == "__main__":
    main()
