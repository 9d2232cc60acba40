"""Images by optimisation: an objective made of discrepancies, and the loop that minimises it.

    settings     all options of a run with their defaults, and the presets
    terms        the terms of an objective: content, style, total variation
    objective    α·content + βγ·style + tv as named terms; `calibrate`
    optimize     the loop: changes an image and yields a `Step` per iteration; uses no network
    optimizers   L-BFGS and Adam
    pixels       the palette term: the pixels and their grain as two more layers
    colours      keeping the content's colours
    regions      several styles and masks: the objective of a run
    pyramid      the sizes of a run
    run          one run: at each size, build the objective and minimise it
    diagnostics  where an image differs from a style, and a test of whether it differs
    tiles        exact terms and gradients of an image tile by tile
    memory       estimates the memory that a run needs, and keeps the run within a budget
    allocator    settings of the C library's allocator for applications

Read terms, objective, optimize, run; then settings and tiles.
"""

from nstlib.synthesis.diagnostics import p_values, witnesses
from nstlib.synthesis.objective import Objective, calibrate
from nstlib.synthesis.optimize import Step, synthesize
from nstlib.synthesis.settings import PRESETS, Settings

__all__ = [
    "PRESETS",
    "Objective",
    "Settings",
    "Step",
    "calibrate",
    "p_values",
    "synthesize",
    "witnesses",
]
