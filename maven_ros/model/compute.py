"""Where the network computes, how exactly, and in batches of what size."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from maven_ros.counters import Counters
from maven_ros.errors import ResourceError

# What errors say that are no torch.OutOfMemoryError; the last is of the host's memory.
_OUT_OF_MEMORY = ('CUDA out of memory', 'CUDA error: out of memory', 'CUBLAS_STATUS_ALLOC_FAILED',
                  'CUDNN_STATUS_ALLOC_FAILED', 'DefaultCPUAllocator')

_WORTH_PACKING = 2 ** 14  # numbers in a layer's weights


def uses_bf16(precision: str, device: torch.device) -> bool:
    """
    Say whether large products are in bfloat16.

    :param precision: ``fp32``, ``bf16``, or ``auto``: bf16 where the processor is made for it.
    """
    if precision != 'auto':
        return precision == 'bf16'
    return bool(torch.cuda.is_bf16_supported(including_emulation=False) if device.type == 'cuda'
                else torch.cpu._is_avx512_bf16_supported())


def choose_device(name: str) -> torch.device:
    """
    Return the device of that name.

    :param name: ``auto`` (CUDA where present), ``cpu``, ``cuda`` or ``cuda:N``.
    :raises ResourceError: when there is no such device.
    """
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    kind, _, index = name.partition(':')
    if kind not in ('cpu', 'cuda') or (':' in name and (kind == 'cpu' or not index.isdecimal())):
        raise ResourceError(f'model.device: {name!r} is not auto, cpu, cuda or cuda:N')
    present = torch.cuda.device_count() if kind == 'cuda' and torch.cuda.is_available() else 0
    if kind == 'cuda' and int(index or 0) >= present:
        raise ResourceError(f'model.device: {name!r} is asked for, and there are {present} CUDA '
                            'devices; allowed here: auto, cpu' + ', cuda' * bool(present))
    return torch.device(name)


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """
    Return the type of the large products on that device.

    :param precision: ``fp32``, ``bf16``, or ``auto``: float32 on processors; on CUDA bfloat16
        where it has it, else float16.
    """
    if precision != 'auto':
        return {'fp32': torch.float32, 'bf16': torch.bfloat16}[precision]
    if device.type != 'cuda':
        return torch.float32
    with torch.cuda.device(device):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if native else torch.float16


def hold_weights(module: nn.Module, dtype: torch.dtype) -> None:
    """
    Keep the weights of products in the type that autocast would bring them to in every pass.

    Results are the same; the passes are spared, and half of the memory.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d) and not is_parametrized(part):
            part.to(dtype)


class PackedLinear(nn.Module):
    """
    A linear layer whose weights lie as the processor multiplies them, for inference alone.

    With the hundred rows of a window a product then runs up to 1.5 times as fast: the weights are
    as large as all else, and would be brought into that order in every pass.

    :param linear: in float32; keeps its weights.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self._bias = linear.bias
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())

    def forward(self, values: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        product: Tensor = torch.ops.mkldnn._linear_pointwise(
            values, self._packed, self._bias, 'none', [], '')
        return product


def pack_weights(module: nn.Module) -> None:
    """
    Put a :class:`PackedLinear` in the place of each large linear layer.

    Results are the same but for rounding. Layers of a derived kind stay, and those of torch's own
    transformers: who has them reads their weights.
    """
    for part in list(module.modules()):
        if isinstance(part, nn.TransformerEncoderLayer):
            continue
        for name, child in part.named_children():
            if type(child) is nn.Linear and child.weight.numel() >= _WORTH_PACKING:
                setattr(part, name, PackedLinear(child))


def packs(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether products of that kind run faster on weights that are packed."""
    return (device.type == 'cpu' and dtype == torch.float32
            and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
            and hasattr(torch.ops.mkldnn, '_reorder_linear_weight'))


def compile_parts(parts: Iterable[nn.Module], backend: str = 'inductor') -> None:
    """Have modules compiled when they run first, for batches of any size."""
    for part in parts:
        part.compile(dynamic=True, backend=backend)


@contextmanager
def compiling() -> Iterator[None]:
    """
    Run modules that are compiled for the first time.

    :raises ResourceError: when the machine lacks what that takes.
    """
    from torch._dynamo.exc import BackendCompilerFailed
    from torch._inductor.exc import InductorError

    try:
        yield
    except (BackendCompilerFailed, InductorError) as error:
        raise ResourceError(
            'model.compile: the network cannot be compiled here: '
            f'{first_line(error)}; needed: a C++ compiler (g++), and on CUDA Triton; '
            'or model.compile: false') from error


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether that is what an error says: of torch's allocators, or of CUDA's libraries."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(said in str(error) for said in _OUT_OF_MEMORY))


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """Bring a tensor of the host's to a device; to CUDA without waiting for it."""
    if device.type != 'cuda':
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


class Batches:
    """
    Sizes of batches that fit into the device's memory: halved when one did not, for good.

    What one batch is made of may be run in batches again.

    :param counters: where each halving is counted.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._fits: dict[str, int] = {}

    def run(
        self, what: str, rows: int, part: Callable[[slice], tuple[Tensor, ...]],
    ) -> tuple[Tensor, ...]:
        """
        Run a batch in as few parts as fit.

        :param what: the rows are, in the plural; the size that fits is remembered under it.
        :param part: computes some rows.
        :returns: the tensors of all parts, joined.
        :raises RuntimeError: when not even one row fits (:func:`is_out_of_memory`).
        """
        done: list[tuple[Tensor, ...]] = []
        first = 0
        while first < rows:
            size = min(rows - first, self._fits.get(what, rows))
            try:
                done.append(part(slice(first, first + size)))
                first += size
            except RuntimeError as error:
                if size == 1 or not is_out_of_memory(error):
                    raise
                self._fits[what] = size // 2
                self._counters.count(
                    'engine', 'out_of_memory', f'{size} {what} at once do not fit into the '
                    f'memory of the device; from now on at most {size // 2}: {first_line(error)}')
        if len(done) == 1:
            return done[0]
        return tuple(torch.cat(same) for same in zip(*done, strict=True))


def first_line(error: Exception) -> str:
    """Return what an error says, without the advice that follows."""
    return str(error).partition('\n')[0]


def free_memory() -> None:
    """Give back what models that are no more held of the GPU's memory."""
    gc.collect()
    torch.cuda.empty_cache()  # does nothing where no GPU was used
