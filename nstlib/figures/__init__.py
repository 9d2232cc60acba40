"""Figures for notebooks and papers. The only room that knows matplotlib; nothing else imports it.

drawing   figures that stand still: picture grids, curves, matrices, particle flows, witness maps
motion    figures that move: features on their way to a style, and sliders
"""

from nstlib.figures.drawing import (
    COLOURS,
    TARGET,
    curves,
    image_grid,
    matrix,
    particle_flow,
    scatter,
    setup,
    witness_maps,
)
from nstlib.figures.motion import animation, projected, slide

__all__ = [
    "COLOURS",
    "TARGET",
    "animation",
    "curves",
    "image_grid",
    "matrix",
    "particle_flow",
    "projected",
    "scatter",
    "setup",
    "slide",
    "witness_maps",
]
