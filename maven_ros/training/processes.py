"""
The processes that train one network together: one process, or those of a launcher.

Hugging Face Accelerate detects them: under ``accelerate launch`` the same command trains on one
GPU, on several, or on several machines. Each process computes its share of every batch. The loss
is computed over the whole batch, because a CCC is not the mean of the CCCs of its parts. This
module sums the gradients itself: DistributedDataParallel averages them, and requires that all
computation is in one ``forward`` and that every weight has a gradient.
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
    One process of a training group; by default the group has only this process.

    :param rank: number of this process, from 0.
    :param count: number of processes.
    :param device: device of this process.
    """

    def __init__(
        self, rank: int = 0, count: int = 1, device: torch.device | None = None,
    ) -> None:
        self.rank, self.count = rank, count
        self.device = device or torch.device('cpu')

    @classmethod
    def launched(cls, device: str) -> Processes:
        """
        Join the group of a launcher, if a launcher started this process.

        :param device: ``auto``, ``cpu`` or ``cuda``; each process has its own GPU.
        :raises ResourceError: if Accelerate or the device is missing.
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
        """Whether this is the process that writes files and prints messages."""
        return self.rank == 0

    def part(self, size: int) -> slice:
        """
        Return this process's slice of a batch; the slices are in order of rank.

        :raises SettingsError: if the batch cannot be divided evenly.
        """
        if size % self.count:
            raise SettingsError(f'loop.batch_size: {size} is not a multiple of the {self.count} '
                                'processes')
        each = size // self.count
        return slice(self.rank * each, (self.rank + 1) * each)

    def gather(self, values: Tensor) -> Tensor:
        """
        Concatenate the slices of a batch, (slice, ...) each; only the own slice has a gradient.

        The sum of the gradients of all processes is then the gradient of the whole batch.
        """
        if self.count == 1:
            return values
        from accelerate.utils import gather

        parts = list(gather(values.detach()).chunk(self.count))
        parts[self.rank] = values
        return torch.cat(parts)

    def gather_objects(self, values: list[Item]) -> list[Item]:
        """Concatenate lists of picklable objects, in order of rank."""
        if self.count == 1:
            return values
        from accelerate.utils import gather_object

        joined: list[Item] = gather_object(values)
        return joined

    def add_gradients(self, model: nn.Module, stop: bool) -> bool:
        """
        Sum the gradients of all processes, and tell whether any process should stop.

        :param stop: whether this process should stop; all then stop after the same step.
        """
        if self.count == 1:
            return stop
        from accelerate.utils import reduce

        own = [value for value in model.parameters() if value.requires_grad]
        # A share without words has no gradient for the text encoder, but another share may have.
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
        Check that all processes have the same value.

        :raises ResourceError: names the value of each process.
        """
        values = self.gather_objects([value])
        if any(one != values[0] for one in values):
            raise ResourceError(f'{what}: differs among the processes: {values}; allowed: the '
                                'same, in a folder that all machines share')

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.gather_objects([None])

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *error: object) -> None:
        if self.count > 1:
            torch.distributed.destroy_process_group()
