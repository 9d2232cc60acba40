"""One pass, and networks for one style, as ONNX files for programs without PyTorch, such as a web browser.

    style.onnx      style → its statistics, once for each style
    content.onnx    content → its maps and residuals, once for each content image
    image.onnx      all of these, the strength and the weights of the methods → image
    weights.bin     the weights of all three, in the float16 that the package stores them in

    models          what is exported: `export_onepass`, `export_feedforward`
    tracing         a function as a graph, without eigendecompositions
    convolutions    the decoder's convolutions, with fewer multiplications
    files           graphs as files, compared with PyTorch

The graphs are traced from `feedforward.OnePass` itself, so new weights of the package need no change
here. A departure: an iteration of matrix products replaces the eigendecompositions, which ONNX does
not have. The images differ by less than 0.1/255. Read models, tracing, convolutions, files.
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
