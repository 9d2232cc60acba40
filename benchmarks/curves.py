"""Loss against wall time: the default run and three references, evaluated by one float32 objective.

    python benchmarks/curves.py [--size 512] [--start random] [--methods linear …] [--json FILE] [--plot PNG]

Runs for each method, all but the last from the same start, the content or (--start random) noise:
  default  the preset "balanced", as it is
  plain    300 steps of the plain loop (plain.py): full size, float32, torch.optim.LBFGS
  single   300 steps of our own L-BFGS at full size only, float32
  paper    the same from noise, the paper's start
Losses are those of the images, in [0, 1], by the float32 encoder; the clock stops while they are computed.
"same loss at N": a reference took N times the default's whole time (calibration, small sizes) to its loss.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import plain
import torch
from common import parser, square
from torch import Tensor

import nstlib
from nstlib.encoders import Encoder, checkpoints, networks
from nstlib.synthesis.allocator import keep_memory
from nstlib.synthesis.objective import Objective, uniform_noise
from nstlib.synthesis.pyramid import plan
from nstlib.synthesis.regions import build_objective

Curve = list[tuple[float, float]]


def curve(
    content: Tensor,
    style: Tensor,
    objective: Objective,
    judge: Encoder,
    settings: nstlib.Settings,
) -> Curve:
    """Returns [(seconds, loss)] of a run from its first step at full size, by the encoder `judge`."""
    points, seconds = [], 0.0
    coarse = settings.iterations - plan(settings, content.shape[2])[-1][1]
    steps = iter(nstlib.transfer(content, style, settings))
    while True:
        start = time.perf_counter()
        step = next(steps, None)
        seconds += time.perf_counter() - start
        if step is None:
            return points
        if step.index > coarse:
            with torch.no_grad():
                terms = objective(step.image, judge(step.image, objective.layers))
            points.append((seconds, float(sum(terms.values()))))


def plain_curve(objective: Objective, start: Tensor) -> Curve:
    state = checkpoints.read(checkpoints.find("vgg19-slim", None))
    network = plain.frozen(networks.build("vgg19-slim", state, "max"))
    return list(plain.minimise(start, lambda x: plain.loss(objective, network, x)))


def compared(default: Curve, curves: dict[str, Curve]) -> Iterator[str]:
    seconds, loss = default[-1]
    yield f"default {seconds:5.1f} s {loss:.4f}"
    for name, points in curves.items():
        when = next((s for s, value in points if value <= loss), None)
        times = f"{when / seconds:.2f}" if when else f"more than {points[-1][0] / seconds:.2f}"
        yield f"{name} {points[-1][0]:5.1f} s {points[-1][1]:.4f}, same loss at {times}"


def main() -> None:
    arguments = parser(__doc__, size=512)
    arguments.add_argument("--start", choices=("content", "random"), default="content")
    arguments.add_argument("--methods", nargs="+", default=["linear", "poly", "gaussian", "bn"])
    arguments.add_argument("--pair", nargs=2, default=["harbour", "strokes"])
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--plot", type=Path)
    options = arguments.parse_args()
    keep_memory()
    content = square(f"contents/{options.pair[0]}", options.size)
    style = square(f"styles/{options.pair[1]}", options.size)
    runs: dict[str, dict[str, Curve]] = {}
    print(f"{'+'.join(options.pair)}, {options.size} px, from {options.start}; seconds and final loss")
    for method in options.methods:
        default = nstlib.Settings(method=method, start=options.start, palette=0)  # as the plain loop
        single = default.replace(levels=1, iterations=plain.STEPS, dtype="float32")
        judge = nstlib.load_encoder()
        objective = build_objective(single, judge, content, (style,))
        start = content if options.start == "content" else uniform_noise(content, single.seed)
        for _ in nstlib.transfer(content, style, default.replace(iterations=6)):
            pass  # warm up
        runs[method] = {
            "default": curve(content, style, objective, judge, default),
            "plain": plain_curve(objective, start),
            "single": curve(content, style, objective, judge, single),
        }
        if options.start == "content":
            from_noise = single.replace(start="random")
            runs[method]["paper"] = curve(content, style, objective, judge, from_noise)
        others = {name: points for name, points in runs[method].items() if name != "default"}
        print(f"{method:9}", " | ".join(compared(runs[method]["default"], others)), flush=True)
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
