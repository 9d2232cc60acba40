"""Is the estimate of a run's memory right? Estimated and measured peaks, each case in a process of its own.

    python benchmarks/memory.py [--json FILE] [--large]

Linux only (it reads the peak from /proc). Exits with 1 unless every estimate lies within 25 % of its peak.
VGG-19's plan runs with random weights: memory does not depend on their values. --large adds VGG-19 at
1024 px and the embedded encoder at 2048 px, which take minutes.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import nstlib
from nstlib.feedforward.networks import PLANS, FeedForward
from nstlib.synthesis.allocator import keep_memory
from nstlib.synthesis.memory import estimate, estimate_network, estimate_pass

ALL = ("linear", "poly", "gaussian", "bn")
CASES = [
    *(("vgg19-slim", size, method, "fast") for size in (256, 512, 1024) for method in ALL),
    *(("vgg19-slim", 1024, method, "small") for method in ("linear", "gaussian")),
    *(("vgg19-random", 256, method, "fast") for method in ("linear", "poly")),
    *(
        ("vgg19-random", 512, method, memory)
        for method in ("linear", "gaussian")
        for memory in ("fast", "small")
    ),
]
PASSES = [  # what paints in one pass, its method or its plan, px of the content and of the style
    *(("one pass", method, size, size) for method in ("poly", "gaussian", "energy") for size in (512, 1024)),
    *(("one pass", method, 256, 1024) for method in ("poly", "energy")),
    *(("network", plan, size, size) for plan in PLANS for size in (512, 1024)),
]
LARGE = [
    *(("vgg19-slim", 2048, method, "small") for method in ALL),
    *(("vgg19-random", 1024, method, "small") for method in ALL),
]


def peak(*case: object) -> float:
    """Bytes, of a fresh process. A run takes ten steps: L-BFGS then holds all its vectors."""
    command = [sys.executable, __file__, "--one", *map(str, case)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def one(*case: str) -> None:
    from examples_square import square  # the pictures, drawn small and enlarged: memory only sees their size

    if case[0] in ("one pass", "network"):
        who, what, content_size, style_size = case
        content, style = (
            square("contents/harbour", int(content_size)),
            square("styles/strokes", int(style_size)),
        )
        keep_memory()
        if who == "one pass":
            nstlib.onepass(content, style, what)
        else:
            FeedForward(what).eval().requires_grad_(False)(content)
    else:
        encoder, size, method, memory = case
        content, style = square("contents/harbour", int(size)), square("styles/strokes", int(size))
        settings = nstlib.Settings(method=method, encoder=encoder, iterations=10, levels=1, memory=memory)
        keep_memory(large=memory == "fast")  # as the command line does
        for _ in nstlib.transfer(content, style, settings):
            pass
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(1024 * int(lines["VmHWM"].split()[0]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="save the table here, too")
    parser.add_argument("--large", action="store_true", help="the largest cases, too")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(*options.one)
        return 0
    rows = []
    print(
        f"{'encoder':13} {'px':>5} {'method':9} {'memory':6} {'estimated':>10} {'measured':>9} {'ratio':>6}"
    )
    for encoder, size, method, memory in CASES + (LARGE if options.large else []):
        settings = nstlib.Settings(method=method, memory=memory)
        loaded = nstlib.load_encoder(encoder, dtype="auto")
        expected = estimate(settings, loaded, (size, size), (size, size))
        measured = peak(encoder, size, method, memory)
        rows.append(
            {"encoder": encoder, "size": size, "method": method, "memory": memory}
            | {"estimated": expected, "measured": measured}
        )
        print(
            f"{encoder:13} {size:5} {method:9} {memory:6} {expected / 1e9:7.2f} GB {measured / 1e9:6.2f} GB "
            f"{expected / measured:6.2f}",
            flush=True,
        )
    for who, what, content, style in PASSES:
        sizes = (content, content), (style, style)
        encoder = nstlib.load_encoder(dtype="auto")
        if who == "one pass":
            expected = estimate_pass(nstlib.method(what), encoder, *sizes, styles=1, masks=0)
        else:
            expected = estimate_network(PLANS[what].width, encoder.device, sizes[0])
        measured = peak(who, what, content, style)
        row = {"encoder": who, "size": f"{content}, {style}", "method": what, "memory": ""}
        rows.append(row | {"estimated": expected, "measured": measured})
        print(
            f"{who:13} {content:5} {what:9} {style:6} {expected / 1e9:7.2f} GB {measured / 1e9:6.2f} GB "
            f"{expected / measured:6.2f}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    good = all(0.75 <= row["estimated"] / row["measured"] <= 1.25 for row in rows)
    print("every estimate within 25 %:", good)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
