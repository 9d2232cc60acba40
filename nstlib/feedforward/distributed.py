"""Divides one task among several processes, which `torchrun` starts.

torchrun --nproc-per-node 2 -m nstlib train STYLE --images FOLDER -o MODEL.safetensors --distributed
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

Item = TypeVar("Item")


@dataclass(frozen=True)
class Group:
    """The `world` processes of a task. This process has the number `rank`, counted from 0."""

    rank: int = 0
    world: int = 1

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Returns the items of this process: every `world`-th one, from `rank` on."""
        return items[self.rank :: self.world]

    def slice(self, count: int) -> slice:
        """Returns the part of a batch for this process. Raises ValueError if the parts would not be equal."""
        if count % self.world:
            raise ValueError(f"a batch of {count} cannot be shared equally by {self.world} processes")
        each = count // self.world
        return slice(self.rank * each, (self.rank + 1) * each)


@contextlib.contextmanager
def join_group(distributed: bool = True) -> Iterator[Group]:
    """Joins the group of processes that torchrun started. If not `distributed`, the group is this process.

    Raises:
        ValueError: torchrun did not start this process.
    """
    if not distributed:
        yield Group()
        return
    if "RANK" not in os.environ:
        raise ValueError("--distributed needs torchrun: torchrun --nproc-per-node 2 -m nstlib …")
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    torch.distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Group(torch.distributed.get_rank(), torch.distributed.get_world_size())
    finally:
        torch.distributed.destroy_process_group()
