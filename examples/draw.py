"""Draw the example pictures again: ``python examples/draw.py [--only NAME] [--out FOLDER]``."""

import argparse
from pathlib import Path

import numpy as np
from contents import CONTENTS
from styles import STYLES

QUALITY = 90
LARGEST = 220_000
SEEDS = {name: 7 for name in (*STYLES, *CONTENTS)} | {"harbour": 12}


def main() -> None:
    """Draw all pictures, or one of them, and save them as JPEG."""
    parser = argparse.ArgumentParser(description="Draw the example style and content pictures.")
    parser.add_argument("--only", choices=sorted(SEEDS), help="draw this picture alone")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    options = parser.parse_args()
    for kind, pictures in (("styles", STYLES), ("contents", CONTENTS)):
        folder = options.out / kind
        folder.mkdir(parents=True, exist_ok=True)
        for name, draw in pictures.items():
            if options.only not in (None, name):
                continue
            path = folder / f"{name}.jpg"
            draw(np.random.default_rng(SEEDS[name])).save(
                path, quality=QUALITY, optimize=True, progressive=True
            )
            size = path.stat().st_size
            print(f"{path}  {size / 1000:.0f} kB")
            if size > LARGEST:
                raise SystemExit(f"{path} is larger than {LARGEST / 1000:.0f} kB")


if __name__ == "__main__":
    main()
