"""Pictures by optimisation: an objective made of discrepancies, and the loop that makes it small.

    settings     every choice of a run with its default; the presets
    objective    α·content + βγ·style + tv as named terms; `calibrate`
    loop         an image changed step by step, yielding `Step`s; knows no network
    optimizers   L-BFGS and Adam
    pixels       the palette term: the pixels and their grain as two layers more
    colours      keeping the content's colours
    regions      several styles, and masks
    pyramid      the sizes a run works through
    job          one run: encode, calibrate, synthesize, size by size
    evidence     where a picture still differs from a style, whether a test can tell
    memory       how much a run will need, told before it starts
    allocator    freed memory kept by programs of our own

Read objective, loop, job; then settings.
"""

from nstlib.synthesis.evidence import p_values, until_indistinguishable, witnesses
from nstlib.synthesis.loop import Step, synthesize
from nstlib.synthesis.objective import Objective, calibrate
from nstlib.synthesis.settings import PRESETS, Settings

__all__ = [
    "PRESETS",
    "Objective",
    "Settings",
    "Step",
    "calibrate",
    "p_values",
    "synthesize",
    "until_indistinguishable",
    "witnesses",
]
