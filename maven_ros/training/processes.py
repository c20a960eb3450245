"""
The processes that train one network together: one alone, or those that a launcher started.

Hugging Face Accelerate finds out which: after ``accelerate launch`` the same command trains on one
GPU, on many, or on many machines. Each process computes its share of every batch; the loss is of
the whole batch, since a CCC is not the mean of its parts' CCCs. Gradients are added up here rather
than by DistributedDataParallel, which averages them, and asks that everything goes through one
``forward`` and that every weight has a gradient.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.model.compute import choose_device

Item = TypeVar('Item')


class Processes:
    """
    One process, and those that it trains together with; alone when nothing is given.

    :param rank: its number, from 0.
    :param count: how many there are.
    :param device: that it computes on.
    """

    def __init__(
        self, rank: int = 0, count: int = 1, device: torch.device | None = None,
    ) -> None:
        self.rank, self.count = rank, count
        self.device = device or torch.device('cpu')

    @classmethod
    def launched(cls, device: str) -> Processes:
        """
        Join the processes of a launcher, if one started this.

        :param device: ``auto``, ``cpu`` or ``cuda``; of several GPUs each process takes its own.
        :raises ResourceError: when Accelerate is missing, or there is no such device.
        """
        try:
            from accelerate import PartialState
        except ImportError as error:
            raise ResourceError(
                'accelerate is not installed; pip install "maven_ros[train]"') from error
        chosen = choose_device(device)
        state = PartialState(cpu=chosen.type == 'cpu')
        alone = state.num_processes == 1
        return cls(state.process_index, state.num_processes, chosen if alone else state.device)

    @property
    def main(self) -> bool:
        """Whether this is the one that writes files and speaks to people."""
        return self.rank == 0

    def part(self, size: int) -> slice:
        """
        Return this process's part of a batch; the parts in order of rank are the batch.

        :raises SettingsError: when it cannot be parted evenly.
        """
        if size % self.count:
            raise SettingsError(f'loop.batch_size: {size} is no multiple of the {self.count} '
                                'processes')
        each = size // self.count
        return slice(self.rank * each, (self.rank + 1) * each)

    def gather(self, values: Tensor) -> Tensor:
        """
        Join the parts of a batch, (part, ...) of each; the gradient reaches this process's own.

        So the gradients of all processes, added up, are that of the whole batch.
        """
        if self.count == 1:
            return values
        from accelerate.utils import gather

        parts = list(gather(values.detach()).chunk(self.count))
        parts[self.rank] = values
        return torch.cat(parts)

    def gather_objects(self, values: list[Item]) -> list[Item]:
        """Join lists of anything that can be pickled, in order of rank."""
        if self.count == 1:
            return values
        from accelerate.utils import gather_object

        joined: list[Item] = gather_object(values)
        return joined

    def add_gradients(self, model: nn.Module, stop: bool) -> bool:
        """
        Add up the gradients of all processes, and tell whether any of them is to stop.

        :param stop: whether this one is; all then stop after the same step.
        """
        if self.count == 1:
            return stop
        from accelerate.utils import reduce

        own = [value for value in model.parameters() if value.requires_grad]
        # A share without words, say, has no gradient of their encoder, and another's may have.
        there = reduce(torch.tensor([float(value.grad is not None) for value in own],
                                    device=own[0].device), 'sum')
        for value, count in zip(own, there.tolist(), strict=True):
            if count and value.grad is None:
                value.grad = torch.zeros_like(value)
        gradients = [value.grad for value in own if value.grad is not None]
        flag = torch.tensor([float(stop)], device=own[0].device)
        added = reduce(torch.cat([flag, *(one.flatten() for one in gradients)]), 'sum')
        parts = added[1:].split([one.numel() for one in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
        return bool(added[0] > 0)

    def check_same(self, value: Any, what: str) -> None:
        """
        Check that all processes have the same of something.

        :raises ResourceError: names what each of them has.
        """
        values = self.gather_objects([value])
        if any(one != values[0] for one in values):
            raise ResourceError(f'{what}: differs among the processes: {values}; allowed: the '
                                'same, which takes a folder that all machines see')

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.gather_objects([None])

    def __enter__(self) -> Processes:
        """Train together."""
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the group: nothing is exchanged any more."""
        if self.count > 1:
            torch.distributed.destroy_process_group()
