"""All methods on a fixed set of pairs: time, memory, the residual of B after matching A, the judge's scores.

    python benchmarks/methods.py [--json FILE] [--sheet FILE] [--table FILE] [--size 256] [--methods NAME …]

The pairs are images of the repository. --methods accepts your own method if an installed package registers
it. Runs are without the palette term, at γ = 1, with the default's steps. In the matrix, row A is the method
of the run and column B the residual discrepancy of each method between result and style: the mean over style
layers and pairs of d(F, S) / d(P, S) with the content's features P. 1 is unchanged, 0 is matched. Seconds are
relative to the first method of the same run.
"""

import json
import resource
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from common import pair, parser, sheet
from judge import judge, judge_encoder
from torch import Tensor

import nstlib
from nstlib.recipes import final_step
from nstlib.synthesis.memory import estimate

PAIRS = (("harbour", "strokes"), ("still_life", "ink"), ("valley", "mosaic"))
METHODS = ("linear", "bn", "poly", "gaussian", "wasserstein", "sliced", "energy", "laplace")
METHODS += ("cubic", "coral", "cmd")


def left(d: nstlib.Discrepancy, F: dict[str, Tensor], P: dict[str, Tensor], S: dict[str, Tensor]) -> float:
    """Returns the mean over layers of d(F, S) / d(P, S)."""
    ratios = []
    for layer in S:
        summary = d.summary(S[layer])
        ratios.append(d.distance(F[layer], summary) / d.distance(P[layer], summary).clamp(min=1e-12))
    return float(torch.stack(ratios).mean())


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def measure(methods: list[str], size: int, palette: float) -> tuple[dict[str, Any], dict[str, list[Tensor]]]:
    encoder, other = nstlib.load_encoder(dtype="auto"), judge_encoder(None)
    exact = nstlib.load_encoder()  # the matrix in float32
    discrepancies = {name: nstlib.method(name) for name in methods}
    result: dict[str, Any] = {
        name: {"seconds": [], "left": {b: [] for b in methods}, "judge": []} for name in methods
    }
    sheets: dict[str, list[Tensor]] = {}
    for content_name, style_name in PAIRS:
        content, style = pair(content_name, style_name, size)
        sheets[f"{content_name} + {style_name}"] = row = []
        with torch.no_grad():
            P, S = (exact(x, exact.style_layers) for x in (content, style))
        final_step(nstlib.transfer(content, style, encoder=encoder, iterations=4))  # warm
        for name in methods:
            start = time.perf_counter()
            step = final_step(nstlib.transfer(content, style, encoder=encoder, method=name, palette=palette))
            found = result[name]
            found["seconds"].append(time.perf_counter() - start)
            row.append(step.image)
            with torch.no_grad():
                F = exact(step.image, exact.style_layers)
                for b, d in discrepancies.items():
                    found["left"][b].append(left(d, F, P, S))
            found["judge"].append(asdict(judge(step.image, content, style, other)))
            print(f"{content_name} + {style_name}: {name} {found['seconds'][-1]:.1f} s", flush=True)
    for name, found in result.items():
        found["left"] = {b: mean(values) for b, values in found["left"].items()}
        found["judge"] = {key: mean([v[key] for v in found["judge"]]) for key in found["judge"][0]}
        found["seconds"] = mean(found["seconds"])
        shape = (size * 3 // 4, size)
        found["memory"] = estimate(nstlib.Settings(method=name, size=size), encoder, shape, shape)
    return result, sheets


def table(result: dict[str, Any]) -> str:
    """Returns Markdown: the matrix, then time and the judge's scores."""
    names = list(result)
    unit = result[names[0]]["seconds"]
    lines = [f"| matched ↓, residual of → | {' | '.join(names)} |", "| --- |" + " --- |" * len(names)]
    for a in names:
        cells = [f"**{v:.2f}**" if a == b else f"{v:.2f}" for b, v in result[a]["left"].items()]
        lines.append(f"| {a} | {' | '.join(cells)} |")
    lines += [
        "",
        f"| method | time / {names[0]} | off palette p99 | over 10 | grain | chroma | edges | texture |",
    ]
    lines.append("| --- |" + " --- |" * 7)
    for name, found in result.items():
        v = found["judge"]
        lines.append(
            f"| {name} | {found['seconds'] / unit:.1f} | {v['p99']:.1f} | {v['share']:.1%} | "
            f"{v['luminance']:.2f} | {v['chroma']:.2f} | {v['edges']:.2f} | {v['texture']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    arguments = parser(__doc__, size=256)
    arguments.add_argument("--json", type=Path, help="file for all numbers")
    arguments.add_argument("--sheet", type=Path, help="image file that shows every result")
    arguments.add_argument("--table", type=Path, help="file for the tables, as Markdown")
    arguments.add_argument("--palette", type=float, default=0.0, help="weight of the palette term")
    arguments.add_argument("--methods", nargs="+", default=list(METHODS))
    options = arguments.parse_args()
    result, sheets = measure(options.methods, options.size, options.palette)
    print(table(result))
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    if options.table:
        options.table.write_text(table(result), encoding="utf-8")
    if options.sheet:
        half = (len(options.methods) + 1) // 2
        rows = [row[i : i + half] for row in sheets.values() for i in (0, half)]
        names = [" / ".join(options.methods[i::half]) for i in range(half)]
        sheet(rows, names, options.sheet)


if __name__ == "__main__":
    main()
