# SPDX-License-Identifier: GPL-3.0-or-later
"""Several processes under torchrun, one per GPU: each takes its share of every batch, gradients are averaged.

The gradient equals that of one process with the same batch, since every loss is a mean over people, or worked
out over the people of all processes (`gathered`). A network too large for one GPU is sharded (FSDP): each
process holds a part of every weight, of its average and of the optimiser's state.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from ...errors import UserError
from ...model.lca import LCA
from .batches import Batch


@dataclass(frozen=True)
class Processes:
    """This process's number, how many there are, and its device."""

    number: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """The one that writes."""
        return self.number == 0

    def wrapped(self, model: LCA, sharded: bool = False) -> nn.Module:
        """The network on its device, its gradients averaged over the processes."""
        model.to(self.device)
        if self.count == 1:
            return model
        if sharded:
            return _shard(model)
        # Without close-ups of the head in a batch, the face stages have no gradient.
        return DistributedDataParallel(model, find_unused_parameters=True)

    def agreed(self, value: float) -> float:
        """The first process's number, in all."""
        if self.count == 1:
            return value
        tensor = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(tensor, 0)
        return float(tensor)

    def mean(self, parts: dict[str, Tensor]) -> dict[str, float]:
        """Scalars averaged over the processes."""
        values = torch.stack([parts[k].detach().float() for k in sorted(parts)])
        if self.count > 1:
            dist.all_reduce(values)
            values /= self.count
        return dict(zip(sorted(parts), values.tolist(), strict=True))

    def wait(self) -> None:
        """Until all have come this far."""
        if self.count > 1:
            dist.barrier()


def _shard(model: LCA) -> LCA:
    """Its trainable weights become parts, layer by layer; a frozen encoder stays whole in every process."""
    frozen = {p for p in model.parameters() if not p.requires_grad}
    for layer in model.layers:
        fully_shard(layer, ignored_params=frozen)
    return fully_shard(model, ignored_params=frozen)


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor put together, on the CPU: all processes must call this. Any other as it is."""
    return tensor.full_tensor().cpu() if isinstance(tensor, DTensor) else tensor


def gathered(rows: Tensor) -> Tensor:
    """The rows [n,...] of all processes, one process's after the other's: all processes must call this.

    Gradients reach the own rows alone, as many times as there are processes: their average over the processes
    is the gradient of one process with all rows.
    """
    if not dist.is_initialized():
        return rows
    own, count = rows.detach().contiguous(), dist.get_world_size()
    parts = [torch.empty_like(own) for _ in range(count)]
    dist.all_gather(parts, own)
    if rows.requires_grad:
        parts[dist.get_rank()] = own + count * (rows - own)
    return torch.cat(parts)


def part(tensor: Tensor) -> Tensor:
    """This process's part of a sharded tensor. Any other as it is."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def parted(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor sharded as `like` is, on its device: all processes must call this."""
    if not isinstance(like, DTensor):
        return tensor.to(like.device)
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)


def join() -> Processes:
    """Find the other processes that torchrun started; alone without it. NCCL between GPUs, else gloo."""
    count, cuda = int(os.environ.get("WORLD_SIZE", 1)), torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if count > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if cuda else "gloo")
    return Processes(dist.get_rank() if count > 1 else 0, count, device)


def share(processes: Processes, people: int) -> tuple[int, int]:
    """(number, count) for `make_batch`. `UserError` where the batch does not split evenly."""
    if people % processes.count:
        raise UserError(f"{people} people a step do not split among {processes.count} processes.")
    return processes.number, processes.count


def moved(batch: Batch, device: torch.device) -> Batch:
    """The batch's tensors on a device; its anchors are there already."""
    values = {f.name: getattr(batch, f.name) for f in fields(batch)}
    return replace(batch, **{k: v.to(device) for k, v in values.items() if isinstance(v, Tensor)})
