"""What the two training scripts share: options, checkpoints, the log and the learning rate."""

import argparse
import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor


def options(description: str, *, steps: int, batch: int, crop: int, every: int) -> argparse.ArgumentParser:
    """Returns a parser with the common options and the given defaults."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--images", nargs="+", type=Path, required=True, help="folders of images")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and the result")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--crop", type=int, default=crop, help="pixels; a multiple of 16")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=every, help="steps between checkpoints")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--float32", action="store_true", help="no bfloat16 autocast")
    return parser


def start(args: argparse.Namespace) -> torch.device:
    """Makes the output folder, seeds the random numbers, and returns the device."""
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    return torch.device(args.device)


def rate(progress: float, step: int, warmup: int) -> float:
    """Returns the learning rate over its peak: a linear rise over `warmup` steps, then a cosine to zero."""
    return min(1, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * min(1, progress)))


def log(folder: Path, **row: object) -> None:
    """Prints held-out errors and appends them to log.jsonl."""
    line = json.dumps(row)
    print(line, flush=True)
    with (folder / "log.jsonl").open("a") as file:
        file.write(line + "\n")


def save(path: Path, state: dict) -> None:
    """Writes a checkpoint beside its place and renames it, so a killed run never leaves half of one."""
    torch.save(state, part := path.with_suffix(".part"))
    part.replace(path)


def export(state: dict[str, Tensor], path: Path) -> None:
    """Writes weights in float16."""
    save_file({name: value.half().cpu().contiguous() for name, value in state.items()}, path)
