"""Exports one pass and networks for one style as ONNX files, for programs without PyTorch, such as browsers.

    style.onnx      style → style statistics; runs once for each style
    content.onnx    content → maps and residuals; runs once for each content image
    image.onnx      content, maps, residuals, style statistics, strength, weights of the methods → image
    weights.bin     the weights of all three graphs, in float16 as in the package

    models          `export_onepass` and `export_feedforward`
    tracing         turns functions into graphs, without eigendecompositions
    convolutions    the decoder's convolutions, with fewer multiplications
    files           compares graphs with PyTorch and writes them to files

The graphs are traced from `feedforward.OnePass` itself, so new weights of the package need no change here. A
departure: an iteration of matrix products replaces eigendecompositions, which ONNX does not have. The images
differ from PyTorch's by less than 0.1/255. Read models, tracing, convolutions and files, in this order.
"""

from nstlib.export.files import BOUND, NEEDS, MissingPackageError, require_onnx, save
from nstlib.export.models import METHODS, export_feedforward, export_onepass
from nstlib.export.tracing import newton_schulz_map, trace

__all__ = [
    "BOUND",
    "METHODS",
    "NEEDS",
    "MissingPackageError",
    "export_feedforward",
    "export_onepass",
    "newton_schulz_map",
    "require_onnx",
    "save",
    "trace",
]
