"""Several processes for one job, as `torchrun` starts them: which part is mine, and who joins.

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
    """This process is number `rank` of `world`."""

    rank: int = 0
    world: int = 1

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Every `world`-th item."""
        return items[self.rank :: self.world]

    def slice(self, count: int) -> slice:
        """My part of a batch. Raises ValueError where the parts would not be equal."""
        if count % self.world:
            raise ValueError(f"a batch of {count} cannot be shared equally by {self.world} processes")
        each = count // self.world
        return slice(self.rank * each, (self.rank + 1) * each)


@contextlib.contextmanager
def joined(distributed: bool = True) -> Iterator[Group]:
    """The group that torchrun started this process in; a group of one where it did not.

    Raises ValueError where processes are asked for and the environment names none.
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
