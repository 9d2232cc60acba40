"""A pretended device without float64, as Apple's GPU (MPS) is: it runs everything, on the CPU, and checks.

Its tensors say that they lie on "lazy:0", a device type that every build of torch knows and none has. An
operation raises as it would on MPS where a tensor of the device would be float64, where a copy changes device
and to float64 at once, where it mixes devices, or where MPS has no kernel.
"""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

DEVICE = torch.device("lazy:0")
# operations that MPS has no kernel for, or had none for in the oldest torch that we support
MISSING = ("_linalg_eigh", "linalg_qr", "_linalg_svd", "linalg_cholesky_ex", "_linalg_solve_ex", "hypot")


class There(Tensor):
    """A tensor of the pretended device; `inner` holds its numbers."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "There":
        if inner.dtype in (torch.float64, torch.complex128):
            raise TypeError("the device has no float64")
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
        )
        made.inner = inner
        return made

    def __repr__(self) -> str:
        return f"There({self.inner})"

    def tolist(self) -> Any:  # torch refuses it for every subclass
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatch(func, args, kwargs or {})


class _Factories(TorchDispatchMode):
    """Sends what is made on the device, or moved to it, the same way."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if _is_there(kwargs.get("device")) or any(isinstance(x, There) for x in tree_leaves((args, kwargs))):
            return _dispatch(func, args, kwargs)
        return func(*args, **kwargs)


def _is_there(device: Any) -> bool:
    return device is not None and torch.device(device).type == DEVICE.type


def _dispatch(func: Any, args: Any, kwargs: Any) -> Any:
    name = func.overloadpacket.__name__
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    there = [x for x in tensors if isinstance(x, There)]
    if name in MISSING:
        raise NotImplementedError(f"the device has no {name}")
    copies = name in ("_to_copy", "copy_")
    if there and not copies and any(x.dim() and not isinstance(x, There) for x in tensors):
        raise RuntimeError(f"{name} mixes tensors of two devices")
    if there and name == "_to_copy" and kwargs.get("dtype") == torch.float64:
        raise TypeError("the device has no float64: copy to the CPU first")
    if there and name == "copy_" and torch.float64 in {x.dtype for x in tensors}:
        raise TypeError("the device has no float64: copy to the CPU first")
    inner_args, inner_kwargs = tree_map_only(There, lambda x: x.inner, (args, kwargs))
    to = kwargs.get("device")
    if to is not None:
        inner_kwargs["device"] = torch.device("cpu")
    if name == "_adaptive_avg_pool2d" and any(
        n % m for n, m in zip(inner_args[0].shape[-2:], inner_args[1], strict=True)
    ):
        raise RuntimeError("the device's adaptive pooling needs sizes that divide each other")
    found = func(*inner_args, **inner_kwargs)
    if (to is not None and not _is_there(to)) or name == "_local_scalar_dense":
        return found
    if name == "copy_" and not isinstance(args[0], There):
        return args[0]
    wrapped = tree_map_only(Tensor, lambda x: x if isinstance(x, There) else There(x), found)
    return return_and_correct_aliasing(func, args, kwargs, wrapped)


@contextlib.contextmanager
def pretend() -> Iterator[torch.device]:
    """While it lasts, the device can be named, as in torch.zeros(3, device=device) and x.to(device)."""
    with mock.patch.object(torch, "lazy", object(), create=True), _Factories():  # checkpointing looks it up
        yield DEVICE
