"""Begin the training of faces with the weights of an earlier checkpoint."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from maven_ros.errors import ResourceError
from maven_ros.model.encoders import FaceEncoder
from maven_ros.model.weights import WEIGHTS

#: Files of a checkpoint, and the prefix of a face's part in each.
_PARTS = ((WEIGHTS, 'face_encoder.'), ('probes.safetensors', 'faces.'))
_SMALLEST = 1e-3  # standard deviation of a channel that is always 0


def load_faces(folder: Path, encoder: FaceEncoder, head: nn.Module) -> None:
    """
    Read the face encoder of a checkpoint, and its head.

    :param folder: folder of a checkpoint with ``probes.safetensors``.
    :param encoder: encoder without normalisation.
    :raises ResourceError: names the file and the fault.
    """
    for (file, prefix), module in zip(_PARTS, (encoder, head), strict=True):
        path = folder / file
        try:
            module.load_state_dict({
                name.removeprefix(prefix): value.float()
                for name, value in load_file(path).items() if name.startswith(prefix)})
        except Exception as error:  # both libraries raise any class for broken files
            raise ResourceError(f'{path}: has no face encoder to begin with: {error}') from error


def unfold(folded: FaceEncoder, encoder: FaceEncoder, pictures: Tensor) -> None:
    """
    Put batch normalisation back: the inverse of :func:`maven_ros.model.encoders.folded`.

    In evaluation mode both encoders give the same vectors. The statistics are those of some
    pictures; the kernels are scaled so that every channel has a standard deviation of 1 before its
    normalisation.

    :param folded: encoder without normalisation.
    :param encoder: encoder with normalisation, of the same shape; its weights are replaced.
    :param pictures: (n, 1, side, side) in [0, 1], a few hundred typical ones.
    """
    outputs: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def note(layer: nn.Module, _: object, output: Tensor) -> None:
        outputs[layer] = output.mean((0, 2, 3)), output.std((0, 2, 3)).clamp(min=_SMALLEST)

    hooks = [layer.register_forward_hook(note) for layer in folded.modules()
             if isinstance(layer, nn.Conv2d)]
    with torch.no_grad():
        folded.encode_grey(pictures)
        encoder.load_state_dict(folded.state_dict(), strict=False)
        for theirs, ours in zip(folded.modules(), encoder.modules(), strict=True):
            if isinstance(theirs, nn.Sequential) and isinstance(ours, nn.Sequential):
                for convolution, own, norm in zip(theirs, ours, list(ours)[1:], strict=False):
                    if isinstance(norm, nn.BatchNorm2d):
                        _normalise(own, norm, convolution, *outputs[convolution])
    for hook in hooks:
        hook.remove()


def blend(model: nn.Module, start: nn.Module, share: float) -> None:
    """Move the weights of a model towards those that it began with, by a share in [0, 1]."""
    begun = start.state_dict()
    model.load_state_dict({name: torch.lerp(value, begun[name].to(value.device), share)
                           for name, value in model.state_dict().items()})


def _normalise(convolution: nn.Module, norm: nn.BatchNorm2d, folded: nn.Module, mean: Tensor,
               std: Tensor) -> None:
    """Make a convolution with its normalisation do what a folded convolution does."""
    weight, bias = folded.state_dict()['weight'], folded.state_dict()['bias']
    convolution.load_state_dict({'weight': weight / std[:, None, None, None]})
    norm.load_state_dict({
        'running_mean': (mean - bias) / std, 'running_var': torch.full_like(std, 1 - norm.eps),
        'weight': std, 'bias': mean, 'num_batches_tracked': torch.tensor(0)})
