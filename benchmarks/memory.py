"""Is the estimate of the memory right? Estimated and measured peaks, each case in a process of its own.

    python benchmarks/memory.py [--json FILE] [--large]

Linux only (it reads the peak from /proc). Exits with 1 unless every estimate lies within 25 % of its peak.
VGG-19's plan runs with random weights: memory does not depend on their values. --large adds VGG-19 at
1024 and 2048 px and the embedded encoder at 2048 px, which take minutes.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from common import parser, square

import nstlib
from nstlib.feedforward.memory import estimate_pass
from nstlib.feedforward.networks import PLANS, FeedForward
from nstlib.synthesis.allocator import adjust_allocator, keep_memory
from nstlib.synthesis.memory import choose_plan, estimate
from nstlib.synthesis.settings import parse_bytes

ALL = ("linear", "poly", "gaussian", "bn")
TWO = ("linear", "gaussian")
CASES = [  # what runs; its method or plan; px of the content and of the style; the budget
    *(("vgg19-slim", method, size, size, "auto") for size in (256, 512, 1024) for method in ALL),
    *(("vgg19-slim", method, 1024, 1024, "900MB") for method in TWO),
    *(("vgg19-random", method, 256, 256, "auto") for method in ("linear", "poly")),
    *(("vgg19-random", method, 512, 512, "auto") for method in TWO),
    *(
        ("one pass", method, size, size, "")
        for method in ("poly", "gaussian", "energy")
        for size in (512, 1024)
    ),
    *(("one pass", method, 256, 1024, "") for method in ("poly", "energy")),
    *(("network", plan, size, size, "") for plan in PLANS for size in (512, 1024)),
]
LARGE = [
    *(("vgg19-slim", method, 2048, 2048, "1.5GB") for method in ALL),
    *(("vgg19-random", method, size, size, "2GB") for method in TWO for size in (1024, 2048)),
]


def estimated(who: str, what: str, size: int, style_size: int, memory: str) -> float:
    """Returns the estimate of a case, in bytes."""
    sizes = (size, size), (style_size, style_size)
    if who == "network":
        return FeedForward(what).estimate_memory(sizes[0])
    if who == "one pass":
        return estimate_pass(nstlib.Settings(method=what), nstlib.load_encoder(dtype="auto"), *sizes)
    settings, encoder = nstlib.Settings(method=what), nstlib.load_encoder(who, dtype="auto")
    limit = None if memory == "auto" else parse_bytes(memory)
    return estimate(settings, encoder, *sizes, choose_plan(settings, encoder, *sizes, limit))


def peak(*case: object) -> float:
    """Returns the peak of a fresh process in bytes. After a run's ten steps L-BFGS holds all its vectors."""
    command = [sys.executable, __file__, "--one", *map(str, case)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def one(*case: str) -> None:
    who, what, size, style_size, memory = case
    content, style = square("contents/harbour", int(size)), square("styles/strokes", int(style_size))
    keep_memory()  # as the command line does
    if who == "one pass":
        nstlib.onepass(content, style, what)
    elif who == "network":
        FeedForward(what).eval().requires_grad_(False)(content)
    else:
        settings = nstlib.Settings(method=what, encoder=who, iterations=10, levels=1, memory=memory)
        for step in nstlib.transfer(content, style, settings):
            if step.index == 1:
                adjust_allocator(step.tile)
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(1024 * int(lines["VmHWM"].split()[0]))


def main() -> int:
    arguments = parser(__doc__)
    arguments.add_argument("--json", type=Path, help="save the table here, too")
    arguments.add_argument("--large", action="store_true", help="the largest cases, too")
    arguments.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.one:
        one(*options.one)
        return 0
    rows = []
    print(f"{'encoder':13} {'method':9} {'px':>5} {'style':>5} {'memory':6}  estimated   measured  ratio")
    for case in CASES + (LARGE if options.large else []):
        expected, measured = estimated(*case), peak(*case)
        row = dict(zip(("encoder", "method", "size", "style", "memory"), case, strict=True))
        rows.append(row | {"estimated": expected, "measured": measured})
        who, what, size, style_size, memory = case
        print(
            f"{who:13} {what:9} {size:5} {style_size:5} {memory:6} {expected / 1e9:7.2f} GB "
            f"{measured / 1e9:7.2f} GB {expected / measured:6.2f}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    good = all(0.75 <= row["estimated"] / row["measured"] <= 1.25 for row in rows)
    print("every estimate within 25 %:", good)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
