"""Device, precision and batch size of the network's computations."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from maven_ros.counters import Counters
from maven_ros.errors import ResourceError

# Messages of errors that are not torch.OutOfMemoryError; the last one concerns host memory.
_OUT_OF_MEMORY = ('CUDA out of memory', 'CUDA error: out of memory', 'CUBLAS_STATUS_ALLOC_FAILED',
                  'CUDNN_STATUS_ALLOC_FAILED', 'DefaultCPUAllocator')

_WORTH_PACKING = 2 ** 14  # smallest number of weights in a layer


def uses_bf16(precision: str, device: torch.device) -> bool:
    """
    Tell whether large matrix products run in bfloat16.

    :param precision: ``fp32``, ``bf16``, or ``auto``: bf16 if the CPU has instructions for it.
    """
    if precision != 'auto':
        return precision == 'bf16'
    return bool(torch.cuda.is_bf16_supported(including_emulation=False) if device.type == 'cuda'
                else torch.cpu._is_avx512_bf16_supported())


def choose_device(name: str) -> torch.device:
    """
    Return a device by its name.

    :param name: ``auto`` (CUDA if present), ``cpu``, ``cuda`` or ``cuda:N``.
    :raises ResourceError: if there is no such device.
    """
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    kind, _, index = name.partition(':')
    if kind not in ('cpu', 'cuda') or (':' in name and (kind == 'cpu' or not index.isdecimal())):
        raise ResourceError(f'model.device: {name!r} is not auto, cpu, cuda or cuda:N')
    present = torch.cuda.device_count() if kind == 'cuda' and torch.cuda.is_available() else 0
    if kind == 'cuda' and int(index or 0) >= present:
        raise ResourceError(f'model.device: {name!r} is not available, there are {present} CUDA '
                            'devices; allowed here: auto, cpu' + ', cuda' * bool(present))
    return torch.device(name)


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """
    Return the data type of the large matrix products on a device.

    :param precision: ``fp32``, ``bf16``, or ``auto``: float32 on CPUs; on CUDA bfloat16 if
        supported, else float16.
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
    Store the weights of matrix products in the type to which autocast would cast them.

    The results are the same; the cast in every pass is saved, and half of the memory.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d) and not is_parametrized(part):
            part.to(dtype)


class PackedLinear(nn.Module):
    """
    A linear layer with weights in the memory layout of the CPU's matrix product, for inference.

    A product with the hundred rows of a window then runs up to 1.5 times as fast, because the
    weights are not converted in every pass.

    :param linear: layer in float32; it keeps its weights.
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
    Replace each large linear layer by a :class:`PackedLinear`.

    Results are the same except for rounding. Subclasses of ``nn.Linear`` stay, and so do the
    layers inside torch's own transformers, which read the weights directly.
    """
    for part in list(module.modules()):
        if isinstance(part, nn.TransformerEncoderLayer):
            continue
        for name, child in part.named_children():
            if type(child) is nn.Linear and child.weight.numel() >= _WORTH_PACKING:
                setattr(part, name, PackedLinear(child))


def packs(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether packed weights make products on this device and in this type faster."""
    return (device.type == 'cpu' and dtype == torch.float32
            and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
            and hasattr(torch.ops.mkldnn, '_reorder_linear_weight'))


def compile_parts(parts: Iterable[nn.Module], backend: str = 'inductor') -> None:
    """Mark modules for compilation at their first run, for batches of any size."""
    for part in parts:
        part.compile(dynamic=True, backend=backend)


@contextmanager
def compiling() -> Iterator[None]:
    """
    Translate the errors of a first run, in which modules are compiled.

    :raises ResourceError: if the machine lacks a tool for compilation.
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
    """Return whether an error of torch or of a CUDA library reports a lack of memory."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(said in str(error) for said in _OUT_OF_MEMORY))


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor from the host to a device; to CUDA asynchronously."""
    if device.type != 'cuda':
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


class Batches:
    """
    The batch sizes that fit into the device's memory; a failure halves the size permanently.

    The parts of a batch may again run in batches.

    :param counters: count each halving.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._fits: dict[str, int] = {}

    def run(
        self, what: str, rows: int, part: Callable[[slice], tuple[Tensor, ...]],
    ) -> tuple[Tensor, ...]:
        """
        Run a batch in as few parts as fit into memory.

        :param what: name of the rows, in the plural; the size is remembered under this name.
        :param part: computes a slice of the rows.
        :returns: the concatenated tensors of all parts.
        :raises RuntimeError: if not even one row fits (:func:`is_out_of_memory`).
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
    """Return the first line of an error's message."""
    return str(error).partition('\n')[0]


def free_memory() -> None:
    """Release the GPU memory of deleted models."""
    gc.collect()
    torch.cuda.empty_cache()  # does nothing if no GPU was used
