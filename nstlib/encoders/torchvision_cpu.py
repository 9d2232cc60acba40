"""torchvision beside a CPU build of torch: the one place that imports it.

torchvision's wheel registers fake kernels for its own compiled operators at import time. Beside a
CPU build of torch those operators fail to load, and the import dies with "operator torchvision::nms
does not exist". Declaring the two operators' schemas first is enough: nothing here calls them.
"""

import importlib
from types import ModuleType

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_fragments: list[torch.library.Library] = []  # kept alive: a schema goes when its Library does


def torchvision_models() -> ModuleType:
    """`torchvision.models`, imported on first use. Raises ImportError where torchvision is missing."""
    try:
        return importlib.import_module("torchvision.models")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    fragment = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for schema in _SCHEMAS:
        if not hasattr(torch.ops.torchvision, schema.partition("(")[0]):
            fragment.define(schema)  # type: ignore[no-untyped-call]
    _fragments.append(fragment)
    return importlib.import_module("torchvision.models")
