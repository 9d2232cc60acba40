"""Does γ mean the same for every method? Final content and style errors by γ, method and pair of images.

    python benchmarks/gamma.py [--size 256] [--iterations 80]

The content error is Σ(F − P)²/Σ P²; the style error is the calibrated style term without γ, relative to
its value at the content. Exits with 1 unless both are monotone in γ and the methods' content errors lie
within a factor of two of each other at every γ.
"""

import sys

from common import pair, parser

import nstlib
from nstlib.recipes import final_step

GAMMAS = (0.2, 1.0, 5.0, 20.0)
PAIRS = (("harbour", "strokes"), ("still_life", "mosaic"), ("valley", "waves"))


def part(terms: dict[str, float], name: str) -> float:
    return sum(value for key, value in terms.items() if key.startswith(name))


def main() -> int:
    arguments = parser(__doc__, size=256)
    arguments.add_argument("--iterations", type=int, default=80)
    arguments.add_argument("--methods", nargs="+", default=["linear", "poly", "gaussian", "bn"])
    options = arguments.parse_args()
    good = True
    for content_name, style_name in PAIRS:
        content, style = pair(content_name, style_name, options.size)
        print(f"\n{content_name} + {style_name}, {options.size} px, {options.iterations} steps:")
        print("content / style error")
        print(f"{'':12}" + "".join(f"{f'γ = {gamma:g}':>18}" for gamma in GAMMAS), flush=True)
        table = []
        for method in options.methods:
            row = []
            for gamma in GAMMAS:
                how = {"method": method, "gamma": gamma}
                terms = final_step(
                    nstlib.transfer(content, style, iterations=options.iterations, **how)
                ).terms
                start = next(nstlib.transfer(content, style, levels=1, **how)).terms
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
