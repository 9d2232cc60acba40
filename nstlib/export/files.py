"""Compares the results of graphs in onnxruntime with those of PyTorch, and writes the graphs to files."""

import contextlib
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nstlib.version import write_whole

BOUND = 2 / 255  # largest allowed difference from PyTorch
WEIGHTS, LARGE = "weights.bin", 64  # tensors of more than LARGE numbers go into WEIGHTS
NEEDS = ("onnx", "onnxscript", "onnxruntime")
Sessions = Mapping[str, Callable[..., dict[str, Tensor]]]  # name → (named tensors → named tensors)


class MissingPackageError(ImportError):
    """A package for the export is missing."""


def require_onnx() -> None:
    """Raises MissingPackageError if a package for the export is missing. The message says what to install."""
    for name in NEEDS:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise MissingPackageError(f"export needs {name}: pip install 'nstlib[export]'") from error


def save(
    models: dict[str, Any],
    folder: Path,
    compare: Callable[[Sessions], float],
    bound: float,
    shared: bool = True,
) -> float:
    """Writes the models to `folder` if `compare` returns at most `bound`. Returns what `compare` returned."""
    import onnx
    import onnxruntime

    blob = halve(models, shared)
    for model in models.values():
        strip(model.graph)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        parts = {n: stack.enter_context(write_whole(folder / f"{n}.onnx")) for n in models}
        if shared:
            stack.enter_context(write_whole(folder / WEIGHTS)).write_bytes(blob)
        for name, part in parts.items():
            onnx.save(models[name], part)

        def session(model: Any) -> Callable[..., dict[str, Tensor]]:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            if blob:
                options.add_external_initializers_from_files_in_memory([WEIGHTS], [blob], [len(blob)])
            run = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            wanted = [i.name for i in run.get_inputs()]
            given = [o.name for o in run.get_outputs()]

            def call(**tensors: Tensor) -> dict[str, Tensor]:
                found = run.run(None, {name: tensors[name].numpy() for name in wanted})
                return dict(zip(given, map(torch.from_numpy, found), strict=True))

            return call

        difference = compare({name: session(model) for name, model in models.items()})
        if not difference <= bound:
            raise FloatingPointError(
                f"the exported graphs differ from PyTorch by {difference:.2g}, more than {bound:.2g}: "
                "nothing was written"
            )
    return difference


def strip(graph: Any) -> None:
    """Removes the metadata of tracing, which make up most of a graph's file."""
    del graph.metadata_props[:], graph.value_info[:]
    for node in graph.node:
        del node.metadata_props[:]
        for inner in (a.g for a in node.attribute if a.HasField("g")):
            strip(inner)


def halve(models: dict[str, Any], shared: bool) -> bytes:
    """Converts large tensors to float16 if this changes no number.

    shared: move the large tensors of all models to the returned block of bytes, which stores equal ones once.
    """
    import onnx

    blob, places = bytearray(), dict[bytes, int]()
    for model in models.values():
        casts = []
        for tensor in model.graph.initializer:
            values = onnx.numpy_helper.to_array(tensor)
            if tensor.data_type != onnx.TensorProto.FLOAT or values.size <= LARGE:
                continue
            half, name = values.astype("float16"), tensor.name
            if (half.astype("float32") == values).all():
                casts.append(
                    onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT)
                )
                tensor.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}.half"))
            data = tensor.raw_data
            if not shared:
                continue
            if data not in places:
                blob += bytes(-len(blob) % 16)
                places[data] = len(blob)
                blob += data
            length = len(data)
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, value in {"location": WEIGHTS, "offset": places[data], "length": length}.items():
                tensor.external_data.add(key=key, value=str(value))
        nodes = [*casts, *model.graph.node]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
    return bytes(blob)
