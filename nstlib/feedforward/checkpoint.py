"""Saves a training to a checkpoint file, and resumes the same training from this file."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nstlib.alignment.methods import method
from nstlib.encoders.weight_files import WeightsError
from nstlib.feedforward.networks import is_finite, rename_keys
from nstlib.version import write_whole

REMEDY = "try a smaller lr, another seed or dtype float32"
DELETE = "delete it to begin anew, or name another checkpoint"


def save_checkpoint(path: Path, network: nn.Module, adam: torch.optim.Adam, progress: dict[str, Any]) -> None:
    """Writes a checkpoint. If this fails, an existing file stays unchanged.

    Args:
        progress: "done", the steps; "seconds", their time; "training", which a resumed training must match.

    Raises:
        FloatingPointError: a weight is NaN or infinite.
    """
    if not is_finite(network.state_dict().values()):
        raise FloatingPointError(f"the weights stopped being finite at step {progress['done']}; {REMEDY}")
    with write_whole(path) as part:
        torch.save({"network": network.state_dict(), "adam": adam.state_dict(), **progress}, part)


def load_checkpoint(
    path: Path, network: nn.Module, adam: torch.optim.Adam, training: dict[str, Any]
) -> tuple[int, float, int]:
    """Loads a checkpoint into the network and the optimiser.

    Returns:
        The number of steps done, the seconds that they took, and the planned number of iterations.

    Raises:
        WeightsError: the file is damaged, or it is not a checkpoint.
        ValueError: `training` differs in more than the iterations, the version and the name of the style.
    """
    try:
        state = torch.load(path, map_location=next(network.parameters()).device, weights_only=True)
        there = rename_keys(state["training"])
        done, seconds, planned = int(state["done"]), float(state["seconds"]), int(there["iterations"])
        different = [_difference(name, there.get(name), training.get(name)) for name in {**training, **there}]
        if not any(different):
            network.load_state_dict(state["network"])
            adam.load_state_dict(state["adam"])
            if not is_finite(network.state_dict().values()) or done < 0:
                raise ValueError("it holds weights that are NaN or infinite")
            if any(moments["exp_avg"].shape != weight.shape for weight, moments in adam.state.items()):
                raise ValueError("its optimiser is that of a different network")
    except Exception as error:  # pickle, zipfile and torch raise different exceptions
        # torch's message is left out, because it suggests unsafe loading
        words = error if type(error) is ValueError else type(error).__name__
        raise WeightsError(
            f"cannot resume from {path}: it is no checkpoint of a training, or damaged ({words}); {DELETE}"
        ) from error
    if any(different):
        raise ValueError(
            f"cannot resume from {path}: it belongs to a training with other settings "
            f"({', '.join(filter(None, different))}); give the same ones, or {DELETE}"
        )
    return done, seconds, planned


def _difference(name: str, there: Any, here: Any) -> str:
    """Describes how a setting of the checkpoint (there) differs from this training's (here); "" if equal."""
    if name == "style" and there["sha256"] != here["sha256"]:
        there, here = (f"{s['name']}, {s['size'][1]} x {s['size'][0]} px" for s in (there, here))
        return f"style {there} there, {here} here"
    same = name in ("iterations", "nstlib", "style") or there == here
    if name == "method":
        with suppress(ValueError, TypeError):  # an unknown method counts as different
            same = method(there) == method(here)
    return "" if same else f"{name} {there!r} there, {here!r} here"
