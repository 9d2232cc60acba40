"""A class behind one address: how long its pages wait for live images, and whether anybody is refused.

    python benchmarks/classroom.py --pages 30 --size 256 --pause 5

Each page uploads two images, changes a setting four times, each after a pause of up to --pause seconds, and
then starts a run of two steps. Prints the median, the 90th percentile and the longest of the waits; exits
with 1 where a page was refused or a run was not done."""

import argparse
import sys
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "attack")]

from app_server import running  # noqa: E402
from client import memory  # noqa: E402
from lesson import lesson  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=30)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--pause", type=float, default=5.0)
    options = parser.parse_args()
    app = running("class", SPACE_ID="class/app")
    happened = lesson(app.url, options.pages, options.size, options.pause)
    waits = happened.seconds
    print(
        f"{len(waits)} live images: median {median(waits):.2f} s, 90 % {quantiles(waits, n=10)[-1]:.2f} s, "
    )
    print(f"longest {max(waits):.2f} s; runs {dict(happened.ends)}; refused {happened.refused or 'none'}")
    now, most = (memory(app.process.pid, name) for name in ("VmRSS", "VmHWM"))
    print(f"memory of the app: {now:.0f} MB, at most {most:.0f} MB")
    return int(bool(happened.refused) or happened.ends["done"] != options.pages)


if __name__ == "__main__":
    sys.exit(main())
