"""One pass of a job: the picture that is there at once, before anything is optimised. Knows no Gradio."""

from functools import lru_cache
from typing import Any

import numpy as np

import nstlib
from demo.runs.engine import Job
from demo.runs.files import Pixels
from demo.runs.gpu import ZERO
from demo.runs.recipes import DETAIL
from nstlib.feedforward.decoders import LEVELS

BALANCE = 1 / 3  # γ at which one pass is half photograph, half style


@lru_cache(maxsize=1)
def encoder() -> nstlib.Encoder:
    """On ZeroGPU there is no GPU outside a booked run: there it works on the CPU."""
    return nstlib.load_encoder(device="cpu" if ZERO else "auto", dtype="auto")


def strength(gamma: float) -> float:
    """What γ is to one pass.

    Two springs of stiffness 1 and γ/BALANCE, to the photograph and to the map's end, rest at the share
    γ / (γ + BALANCE) of the way. One pass mixes the photograph in at each of its five levels, so its strength
    is the fifth root of that share. BALANCE is a third because then the polynomial method moves the content
    about as far as a run does (harbour + strokes, 192 px, content error at relu4_2 for γ = 0.1, 0.3, 1: 0.17,
    0.27, 0.37; runs of 30 steps: 0.16, 0.29, 0.49). The maps of `linear` and `bn` move less than their runs.
    """
    return float((gamma / (gamma + BALANCE)) ** (1 / len(LEVELS)))


def one_pass(job: Job, detail: float = DETAIL) -> tuple[Pixels, dict[str, Any]]:
    """The picture (H, W, 3) of a transfer's one pass, and nstlib's recipe. Raises what nstlib raises."""
    settings = job.settings
    content, styles = job.load()
    picture = nstlib.onepass(
        content,
        styles,
        settings.discrepancy.seeded(settings.seed),
        strength(settings.gamma),
        style_weights=settings.style_weights,
        masks=job.masks,
        detail=detail,
        palette=settings.palette,
        colours=settings.colours,
        style_scale=settings.style_scale,
        encoder=encoder(),
    )
    return np.asarray(nstlib.to_pil(picture)), picture.recipe  # type: ignore[attr-defined]
