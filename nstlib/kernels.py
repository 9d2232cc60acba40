"""The kernels of `nstlib.alignment.kernels` by their public name."""

from nstlib.alignment.kernels import *  # noqa: F403
