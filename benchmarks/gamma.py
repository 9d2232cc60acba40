"""Does γ mean the same for every method? Final content and style errors over γ, method and picture pair.

    python benchmarks/gamma.py [--size 256] [--iterations 80]

The content error is Σ(F − P)²/Σ P²; the style error is the calibrated style term without γ, relative to
its value at the photograph. Exits with 1 unless both are monotone in γ and the methods' content errors lie
within a factor of two of each other at every γ.
"""

import argparse
import sys

import nstlib
from nstlib.recipes import last

GAMMAS = (0.2, 1.0, 5.0, 20.0)
PAIRS = (("harbour", "strokes"), ("still_life", "mosaic"), ("valley", "waves"))


def part(terms: dict[str, float], name: str) -> float:
    return sum(value for key, value in terms.items() if key.startswith(name))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256, help="longest side in pixels")
    parser.add_argument("--iterations", type=int, default=80)
    parser.add_argument("--methods", nargs="+", default=["linear", "poly", "gaussian", "bn"])
    options = parser.parse_args()
    good = True
    for content_name, style_name in PAIRS:
        content = nstlib.load_image(f"examples/contents/{content_name}.jpg", options.size)
        style = nstlib.load_image(f"examples/styles/{style_name}.jpg", options.size)
        print(
            f"\n{content_name} + {style_name}, {options.size} px, {options.iterations} steps: "
            "content / style error"
        )
        print(f"{'':12}" + "".join(f"{f'γ = {gamma:g}':>18}" for gamma in GAMMAS), flush=True)
        table = []
        for method in options.methods:
            row = []
            for gamma in GAMMAS:
                run = nstlib.transfer(
                    content, style, method=method, gamma=gamma, iterations=options.iterations
                )
                terms = last(run).terms
                start = next(nstlib.transfer(content, style, method=method, gamma=gamma, levels=1)).terms
                row.append((part(terms, "content"), part(terms, "style") / part(start, "style")))
            table.append(row)
            print(f"{method:12}" + "".join(f"{c:9.3f} / {s:.4f}" for c, s in row), flush=True)
            contents, styles = zip(*row, strict=True)
            good &= list(contents) == sorted(contents) and list(styles) == sorted(styles, reverse=True)
        ratios = [
            max(c for c, _ in column) / min(c for c, _ in column) for column in zip(*table, strict=True)
        ]
        print(f"{'max / min':12}" + "".join(f"{ratio:9.2f}{'':9}" for ratio in ratios), flush=True)
        good &= max(ratios) < 2
    print("\nmonotone and within a factor of two:", good)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
