"""Mistakes planted in the mathematics of nstlib, each of which must turn a notebook red.

    python notebooks/mutations.py              all of them, as a table
    python notebooks/mutations.py "wrong sign" those whose name contains a text

A mutation changes one line in a copy of the package; then the notebook's cells run in order, without those
that make images by optimisation, until an assert fails. About ten seconds each on a quiet machine.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cells

RED = 3  # a process that met a failing assert
ROOT = Path(__file__).resolve().parent.parent
SLOW = ("nstlib.transfer(", "nstlib.stylize(", "nstlib.reconstruct_", "flow_fast(", "seconds = {")


@dataclass(frozen=True)
class Mutation:
    """A mistake: in `file` (below nstlib/) the text `old` becomes `new`; `notebook` must notice."""

    name: str
    notebook: str
    file: str
    old: str
    new: str


MUTATIONS = tuple(
    Mutation(*entry)
    for entry in (
        (
            "Gram matrix not divided by M",
            "01",
            "alignment/moments.py",
            "return outer(F) / F.shape[-1]",
            "return outer(F)",
        ),
        (
            "Gram matrix's gradient without its factor 2",
            "03",
            "alignment/moments.py",
            "symmetric = (g + g.mT) / F.shape[-1]",
            "symmetric = g / F.shape[-1]",
        ),
        (
            "variance for standard deviation",
            "01",
            "alignment/discrepancy.py",
            '"deviation": (variance + self.epsilon).sqrt()',
            '"deviation": variance + self.epsilon',
        ),
        (
            "variance over M − 1",
            "01",
            "alignment/moments.py",
            "square_().sum(-1) / F.shape[-1]",
            "square_().sum(-1) / (F.shape[-1] - 1)",
        ),
        (
            "linear distance without its square",
            "01",
            "alignment/discrepancy.py",
            'return (embedding["mean"] - summary["mean"]).square().sum(-1)',
            'return (embedding["mean"] - summary["mean"]).abs().sum(-1)',
        ),
        (
            "polynomial kernel without its square",
            "02",
            "alignment/kernels.py",
            "(x.mT @ y + c) ** d",
            "(x.mT @ y + c)",
        ),
        (
            "MMD² with the wrong sign of the cross term",
            "02",
            "alignment/discrepancy.py",
            "- 2 * average(F, S)",
            "+ 2 * average(F, S)",
        ),
        (
            "MMD² with the cross term once",
            "02",
            "alignment/discrepancy.py",
            "- 2 * average(F, S)",
            "- average(F, S)",
        ),
        (
            "Gaussian kernel with the wrong sign in its exponent",
            "02",
            "alignment/kernels.py",
            "/ (-2 * _broadcast(sigma, x) ** 2)",
            "/ (2 * _broadcast(sigma, x) ** 2)",
        ),
        (
            "Gaussian kernel with σ² for 2σ²",
            "02",
            "alignment/kernels.py",
            "/ (-2 * _broadcast(sigma, x) ** 2)",
            "/ -(_broadcast(sigma, x) ** 2)",
        ),
        (
            "bandwidth: σ² for σ",
            "02",
            "alignment/samples.py",
            "1e-6 * norms + 1e-12).sqrt()",
            "1e-6 * norms + 1e-12)",
        ),
        ("biased for unbiased", "02", "alignment/discrepancy.py", "average(F, F, unbiased)", "average(F, F)"),
        (
            "linear-time estimator without one of its terms",
            "02",
            "alignment/linear_time.py",
            " - each(f2, s1)",
            "",
        ),
        (
            "random Fourier features scaled by √(1/D)",
            "02",
            "alignment/gaussian.py",
            "math.sqrt(2 / W.shape[-2])",
            "math.sqrt(1 / W.shape[-2])",
        ),
        (
            "the polynomial's offset c ignored",
            "03",
            "alignment/discrepancy.py",
            "        if self.c:\n            distance",
            "        if False:\n            distance",
        ),
        (
            "the offset counts c, not 2c",
            "03",
            "alignment/discrepancy.py",
            "distance + 2 * self.c *",
            "distance + self.c *",
        ),
        (
            "layers not calibrated (Z_l = 1)",
            "06",
            "synthesis/objective.py",
            "terms.append(replace(term, scale=_length(bare)))",
            "terms.append(replace(term, scale=1.0))",
        ),
        (
            "central moments not divided by the range",
            "11",
            "alignment/wasserstein.py",
            'centre, r = mean(F, weights), summary["range"]',
            'centre, r = mean(F, weights), torch.ones_like(summary["range"])',
        ),
        (
            "map of poly: products for covariances",
            "12",
            "alignment/transports.py",
            'summary["gram"] - μ.unsqueeze(-1) * μ.unsqueeze(-2), weights)',
            'summary["gram"], weights)',
        ),
        ("β without its factor", "06", "synthesis/objective.py", "beta = PULL * _length", "beta = _length"),
    )
)


def copied(mutation: Mutation, folder: Path) -> None:
    """A copy of the package with the mistake in it. Raises ValueError where the line is no longer there."""
    shutil.copytree(ROOT / "nstlib", folder / "nstlib", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "nstlib" / mutation.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutation.old) != 1:
        raise ValueError(
            f"{mutation.name}: {mutation.old!r} is {text.count(mutation.old)} times in {mutation.file}"
        )
    path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")


def light(code: list[str]) -> list[int]:
    """The cells that run without slow ones, and without what only slow ones make."""
    missing: set[str] = set()
    kept = []
    for i, cell in enumerate(code[1:], 1):  # the first fetches the library
        if any(word in cell for word in SLOW) or missing & cells.reads(cell):
            missing |= cells.writes(cell)
        else:
            missing -= cells.writes(cell)
            kept.append(i)
    return kept


def first_red_cell(notebook: str, package: Path) -> int | None:
    """Runs a notebook's light cells with the package in a folder. The code cell that fails, if one does."""
    environment = os.environ | {"PYTHONPATH": str(package), "NSTLIB_FIGURES": "quick", "MPLBACKEND": "Agg"}
    result = subprocess.run(
        [sys.executable, __file__, "--inside", notebook],
        env=environment, cwd=cells.FOLDER, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if result.returncode not in (0, RED):
        raise RuntimeError(f"notebook {notebook} did not run:\n{result.stderr[-2000:]}")
    return int(result.stdout.split()[-1]) if result.returncode else None


def inside(notebook: str) -> int:
    """In a process of its own: RED and the cell's number where an assert fails, 0 where none does."""
    import matplotlib.pyplot as plt

    plt.show = lambda: plt.close("all")  # type: ignore[assignment]
    (name,) = (name for name in cells.names() if name.startswith(notebook))
    code = cells.code(name)
    names: dict[str, object] = {}
    for i in light(code):
        try:
            cells.run(code[i], names)
        except AssertionError:
            print("\nred:", i)
            return RED
    return 0


def red(mutation: Mutation) -> int | None:
    """The code cell of its notebook that notices a mutation, or None."""
    with tempfile.TemporaryDirectory() as folder:
        copied(mutation, Path(folder))
        return first_red_cell(mutation.notebook, Path(folder))


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Plant mistakes in the mathematics; see which notebook notices."
    )
    parser.add_argument("text", nargs="?", default="", help="only mutations whose name contains this")
    parser.add_argument("--inside", metavar="NN", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return inside(options.inside)
    survived = 0
    print("| mistake | in | noticed by |\n| --- | --- | --- |", flush=True)
    for mutation in MUTATIONS:
        if options.text in mutation.name:
            cell = red(mutation)
            survived += cell is None
            where = "**nobody**" if cell is None else f"{mutation.notebook}, code cell {cell}"
            print(f"| {mutation.name} | `{mutation.file}` | {where} |", flush=True)
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
