"""Checkpoints that a killed run cannot spoil."""

from pathlib import Path

import torch


def save(path: Path, state: dict) -> None:
    """Writes beside the target, then renames, so a killed run never leaves half a checkpoint."""
    torch.save(state, part := path.with_suffix(".part"))
    part.replace(path)
