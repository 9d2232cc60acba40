"""Time of whole commands alone and beside CPU-bound programs, with nstlib's way to wait and torch's default.

    python benchmarks/busy.py [--sizes 256 512] [--runs 5] [--programs 2]

Each run is a whole `python -m nstlib transfer`. The two ways to wait alternate, so that the machine is the
same for both. The last column is the time beside the programs relative to the time alone, for the medians and
for the slowest run.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from common import EXAMPLES, parser

IMAGES = [str(EXAMPLES / name) for name in ("contents/harbour.jpg", "styles/waves.jpg")]
WAYS = {"nstlib": {}, "torch's default": {"GOMP_SPINCOUNT": "300000", "KMP_BLOCKTIME": "200"}}


def seconds(size: int, way: dict[str, str], output: Path) -> float:
    """Time of one command."""
    command = [sys.executable, "-m", "nstlib", "transfer", *IMAGES, "-o", str(output), "--quiet"]
    command += ["--size", str(size)]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | way, cwd=EXAMPLES.parent)
    return time.perf_counter() - start


@contextlib.contextmanager
def programs(count: int) -> Iterator[None]:
    """CPU-bound programs that run as long as the with-block."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for program in running:
            program.kill()
            program.wait()


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--programs", type=int, default=2)
    options = arguments.parse_args()
    print(f"{os.cpu_count()} cores, {options.programs} CPU-bound programs, {options.runs} runs each; seconds")
    print(f"{'size':>5}  {'way to wait':16} {'alone':>6} {'beside':>7} {'slowest':>8}  ratio (slowest)")
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.png"
        for size in options.sizes:
            times: dict[tuple[str, int], list[float]] = {}
            for count in (0, options.programs):
                with programs(count):
                    for _ in range(options.runs):
                        for name, way in WAYS.items():
                            times.setdefault((name, count), []).append(seconds(size, way, output))
            for name in WAYS:
                alone, beside = median(times[name, 0]), times[name, options.programs]
                ratios = f"{median(beside) / alone:.1f} ({max(beside) / alone:.1f})"
                print(
                    f"{size:>5}  {name:16} {alone:6.1f} {median(beside):7.1f} {max(beside):8.1f}  {ratios}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
