"""Images by optimisation: an objective made of discrepancies, and the loop that minimises it.

    settings     all options of a run with their defaults, and the presets
    terms        an embedding and its target: content, style, total variation
    objective    α·content + βγ·style + tv as named terms; `calibrate`
    optimize     changes an image step by step and yields a `Step` each; knows no network
    optimizers   L-BFGS and Adam
    pixels       the palette term: the pixels and their grain as two more layers
    colours      keeping the content's colours
    regions      several styles and masks: the objective of a run
    pyramid      the sizes of a run
    run          one run: at each size, build the objective and minimise it
    diagnostics  where an image differs from a style, and whether a test can tell
    tiles        exact terms and gradients of an image tile by tile
    memory       the memory that a run needs, estimated before it starts, and how it is kept within a budget
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
