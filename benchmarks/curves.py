"""Loss against wall time: the default run, one size only, and the paper's start, by one float32 objective.

    python benchmarks/curves.py [--size 512] [--methods linear …] [--json FILE] [--plot FILE.png]

Three runs for each method:
  default  the preset "balanced", as it is
  single   300 L-BFGS steps at full size only, from the photograph
  paper    300 L-BFGS steps at full size only, from noise (the paper's start)
For "default" only the steps at full size have this loss. "same loss in N of the time" is a reference's time
up to the default's final loss, over the default's whole time.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from examples_square import square

import nstlib
from nstlib.allocator import keep_memory
from nstlib.run import FULL


def curve(content: Any, style: Any, **settings: Any) -> list[tuple[float, float]]:
    """[(seconds, loss)] at full size."""
    chosen = nstlib.Settings().replace(**settings)
    start, points, coarse = (
        time.perf_counter(),
        [],
        (1 - FULL) * chosen.iterations if chosen.levels > 1 else 0,
    )
    for step in nstlib.transfer(content, style, chosen):
        if step.index > coarse:
            points.append((time.perf_counter() - start, step.loss))
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--methods", nargs="+", default=["linear", "poly", "gaussian", "bn"])
    parser.add_argument("--pair", nargs=2, default=["harbour", "strokes"])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    keep_memory()
    content = square(f"contents/{options.pair[0]}", options.size)
    style = square(f"styles/{options.pair[1]}", options.size)
    for _ in nstlib.transfer(content, style, iterations=3, levels=1, dtype="float32"):
        pass  # warm up
    runs: dict[str, dict[str, list[tuple[float, float]]]] = {}
    print(f"{'+'.join(options.pair)}, {options.size} x {options.size} px; seconds and final loss")
    for method in options.methods:
        base = {"method": method, "dtype": "float32"}
        single = base | {"levels": 1, "iterations": 300}
        runs[method] = {
            "default": curve(content, style, **base),
            "single": curve(content, style, **single),
            "paper": curve(content, style, **single, start="random"),
        }
        seconds, loss = runs[method]["default"][-1]
        print(f"{method:9} default {seconds:6.1f} s {loss:.4f}", end="")
        for name in ("single", "paper"):
            points = runs[method][name]
            when = next((s for s, value in points if value <= loss), None)
            ratio = f"{when / seconds:.2f}" if when else f"> {points[-1][0] / seconds:.2f}"
            print(
                f" | {name} {points[-1][0]:6.1f} s {points[-1][1]:.4f}, same loss in {ratio} of the time",
                end="",
            )
        print(flush=True)
    if options.json:
        options.json.write_text(json.dumps(runs))
    if options.plot:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(4 * len(runs), 3.4), layout="constrained")
        for i, (method, curves) in enumerate(runs.items(), 1):
            axis = figure.add_subplot(1, len(runs), i)
            for name, points in curves.items():
                axis.loglog(*zip(*points, strict=True), label=name)
            axis.set(title=method, xlabel="seconds", ylabel="loss")
            axis.legend()
        figure.savefig(options.plot, dpi=110)


if __name__ == "__main__":
    main()
