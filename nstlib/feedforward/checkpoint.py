"""The file that a training resumes from: complete or absent, and only for the same training."""

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
    """Writes a checkpoint.

    Args:
        progress: the steps "done", their "seconds", and the "training" that a later run must match.

    Raises:
        FloatingPointError: the weights are not finite; an earlier file stays as it is.
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
        The steps done, the seconds they took, and the number of iterations that was planned.

    Raises:
        WeightsError: the file is no checkpoint, or damaged.
        ValueError: it belongs to a different `training`. The number of iterations may differ.
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
    except Exception as error:  # pickle, zip and torch each raise their own kinds
        # not torch's own message, which suggests unsafe loading
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
    """Says how a setting differs in the checkpoint (there) and this training (here); empty if it does not."""
    if name == "style" and there["sha256"] != here["sha256"]:
        there, here = (f"{s['name']}, {s['size'][1]} x {s['size'][0]} px" for s in (there, here))
        return f"style {there} there, {here} here"
    same = name in ("iterations", "nstlib", "style") or there == here
    if name == "method":
        with suppress(ValueError, TypeError):  # an unknown method is a different one
            same = method(there) == method(here)
    return "" if same else f"{name} {there!r} there, {here!r} here"
