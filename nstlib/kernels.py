"""Public access to the kernels of `nstlib.alignment.kernels` as `nstlib.kernels`."""

from nstlib.alignment.kernels import *  # noqa: F403
