"""
MAVEN: Multi-modal Attention for Valence-Arousal Emotion Network (arXiv 2503.12623).

Where the paper and its authors' code differ, this follows the paper: attention is over sequences,
not over one pooled key, and the two encoders over the fused window are sequential. Unlike both, it
masks padding and missing evidence everywhere, and its default head predicts a direction and a
bounded intensity.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import PreTrainedModel

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.model import hub, weights
from maven_ros.model.backbone_configuration import Backbone
from maven_ros.model.backbones import FaceBackbone, TextBackbone, VoiceBackbone, quietly
from maven_ros.model.batch import MavenInputs, MavenOutput
from maven_ros.model.batch_checks import check_inputs
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.e5_text import E5Text
from maven_ros.model.encoders import FaceEncoder, TextEncoder, VoiceEncoder
from maven_ros.model.fusion import ContextEncoders, CrossModalFusion, Features
from maven_ros.model.head import AffectHead, Point
from maven_ros.model.quantized import BITS, BLOCK
from maven_ros.model.readers import Readers
from maven_ros.model.time_grid import Aligned, interpolate, weigh
from maven_ros.model.whisper_voice import WhisperVoice
from maven_ros.records import MODALITIES, SAMPLE_RATE_HZ
from maven_ros.resources import models_folder
from maven_ros.rules import Grid

#: The frozen parts of encoders that have a learnt one, too.
FROZEN = ('bert.', 'whisper.')
#: Name of each modality's encoder in the network and in checkpoints.
ENCODERS = {'video': 'face_encoder', 'audio': 'voice_encoder', 'text': 'text_encoder'}


class MavenModel(PreTrainedModel):
    """
    The network as a transformers model: encoders, fusion, context and head.

    Encoding and fusion are separate steps. A frozen encoder from a separate folder is not stored
    in the checkpoint; the configuration has its name and hash.
    """

    config_class = MavenConfig
    base_model_prefix = 'maven'
    main_input_name = 'inputs'

    def __init__(self, config: MavenConfig) -> None:
        super().__init__(config)
        video, audio, text = (config.backbone(name) for name in MODALITIES)
        self.face_encoder = FaceBackbone(video) if video else FaceEncoder(config)
        self.voice_encoder = _voice_encoder(config, audio)
        self.text_encoder = _text_encoder(config, text)
        widths = [getattr(self, own).width for own in ENCODERS.values()]
        self.fusion = CrossModalFusion(config, widths)
        self.context = ContextEncoders(config)
        self.head = AffectHead(config)
        self.readers = Readers(config, widths)
        self._keys_to_ignore_on_load_missing = [
            f'^{re.escape(prefix)}' for prefix in self._elsewhere()]
        self.post_init()
        self._freeze()

    def _init_weights(self, module: nn.Module) -> None:
        """Keep torch's initial weights; fill the buffers that no checkpoint holds."""
        if isinstance(module, FaceBackbone | VoiceEncoder):
            module.reset_buffers()

    def train(self, mode: bool = True) -> MavenModel:
        """Set the mode of all parts except frozen encoders, which stay in evaluation mode."""
        super().train(mode)
        self._freeze()
        return self

    # --- making, loading, saving ---------------------------------------------------------

    @classmethod
    def untrained(cls, config: MavenConfig, seed: int) -> MavenModel:
        """Build a network with random weights; torch's global random state does not change."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(config)

    @classmethod
    def from_encoders(
        cls, *, video: str | Path | None = None, audio: str | Path | None = None,
        text: str | Path | None = None, context: str | Path | None = None,
        config: MavenConfig | None = None, seed: int = 0,
    ) -> MavenModel:
        """
        Build a network on pretrained encoders in the hub's format; the rest is untrained.

        :param video: folder of an image model. Any encoder that is omitted is as in ``config``.
        :param audio: folder of a speech model.
        :param text: folder of a language model.
        :param context: folder of a BEiT, whose layers initialise both encoders over the fused
            window.
        :param config: ``base`` if omitted. Crops, widths and tokens are adapted to the encoders.
        :param seed: seed of all other weights.
        :raises ResourceError: names the file and the fault.
        """
        folders = {'video': video, 'audio': audio, 'text': text, 'context': context}
        given = {part: Path(folder) for part, folder in folders.items() if folder}
        model = cls.untrained(hub.adapt(config or MavenConfig.base(), given), seed)
        for name, own in ENCODERS.items():
            if name in given:
                model._load_encoder(name, own, given[name])
        if 'context' in given:
            for encoder in (model.context.first, model.context.second):
                loaded = weights.read_backbone(
                    'context', given['context'], model.config.backbone('context'))
                encoder.layers, encoder.norm = loaded.layers, loaded.layernorm
        return model

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *arguments: Any, encoders: Sequence[str | Path] = (),
        **options: Any,
    ) -> Any:
        """
        Read a checkpoint folder, without any download.

        :param encoders: folders to search for encoders by name, before the checkpoint, its parent
            folder, and the fetched models.
        :param options: as in transformers.
        :raises ResourceError: names the file, the fault and the allowed values.
        """
        folder = Path(folder)
        options.setdefault('config', hub.read_config(folder))
        options.setdefault('dtype', torch.float32)  # otherwise it would be the type in the file
        path = weights.require(folder)
        weights.check_header(path, options['config'])
        wants_report = options.pop('output_loading_info', False)
        with quietly(), hub.said_by(folder / hub.CONFIG):
            model, report = super().from_pretrained(
                None, *arguments, state_dict=weights.read(path), ignore_mismatched_sizes=True,
                output_loading_info=True, **options)
        model.config.name_or_path = model.name_or_path = str(folder)
        weights.check_report(path, report)
        weights.check_finite(path, model.stored_weights())
        model.load_encoders(folder, encoders)
        return (model, report) if wants_report else model

    def load_encoders(self, folder: Path, encoders: Sequence[str | Path] = ()) -> None:
        """
        Read the encoders that the configuration pins by hash.

        :param folder: folder of the checkpoint, which is searched with its parent folder.
        :param encoders: folders that are searched first, for encoders by name.
        :raises ResourceError: if an encoder is not found, or has another hash.
        """
        for name, own in ENCODERS.items():
            backbone = self.config.backbone(name)
            if backbone and backbone.sha256:
                roots = (*map(Path, encoders), folder, folder.resolve().parent, models_folder())
                self._load_encoder(name, own, hub.find_encoder(name, backbone, roots))

    def save_pretrained(
        self, save_directory: str | Path, is_main_process: bool = True,
        state_dict: Mapping[str, Tensor] | None = None, **options: Any,
    ) -> None:
        """
        Write ``config.json`` and ``model.safetensors``, which also contains the configuration.

        :param save_directory: folder, created if missing.
        :param is_main_process: whether to write at all, if several processes train.
        :param state_dict: weights to store instead of the network's own.
        :param options: further options of transformers; only the values that match the behaviour
            of this method are accepted.
        :raises SettingsError: if an option has another value.
        :raises ResourceError: if a file cannot be written, or the weights do not belong to this
            network or are not finite.
        """
        weights.check_options(options)
        if not is_main_process:
            return
        folder = Path(save_directory)
        stored = self.stored_weights(state_dict)
        weights.check_complete(folder / weights.WEIGHTS, stored, self.stored_weights())
        weights.check_finite(folder / weights.WEIGHTS, stored)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.config.architectures = [type(self).__name__]
            self.config.save_pretrained(folder)
            weights.write(folder / weights.WEIGHTS, stored, self.config, self.quantized_bits())
        # Transformers asserts that the path is not a file.
        except (OSError, SafetensorError, AssertionError) as error:
            raise ResourceError(f'{folder}: cannot be written: {error}') from error

    def stored_weights(self, state_dict: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """
        Return the weights for a checkpoint: all except frozen encoders in separate folders.

        :param state_dict: source of the weights; the network's own if omitted.
        """
        elsewhere = tuple(self._elsewhere())
        values = self.state_dict() if state_dict is None else state_dict
        return {name: value for name, value in values.items() if not name.startswith(elsewhere)}

    def quantized_bits(self) -> dict[str, int]:
        """Return the bits of each weight that a checkpoint holds in few bits, by its name."""
        bits: dict[str, int] = {}
        for name, own in ENCODERS.items():
            backbone, encoder = self.config.backbone(name), getattr(self, own)
            if backbone and backbone.bits in BITS:
                bits |= {f'{own}.{layer}.weight': backbone.bits
                         for layer, module in encoder.named_modules()
                         if isinstance(module, nn.Linear) and not module.in_features % BLOCK
                         and layer.startswith(FROZEN)}
        return bits

    def _elsewhere(self) -> list[str]:
        return [f'{own}.' for name, own in ENCODERS.items()
                if (backbone := self.config.backbone(name)) and backbone.sha256]

    def _freeze(self) -> None:
        for name, own in ENCODERS.items():
            backbone = self.config.backbone(name)
            if backbone and backbone.frozen:
                getattr(self, own).requires_grad_(False).eval()

    def _load_encoder(self, name: str, own: str, folder: Path) -> None:
        backbone = self.config.backbone(name)
        loaded = weights.read_backbone(name, folder, backbone)
        getattr(self, own).backbone = loaded.to(self.device)
        self._freeze()

    # --- using ---------------------------------------------------------------------------

    def forward(
        self, inputs: MavenInputs, influence: bool = False, attention: bool = False,
    ) -> MavenOutput:
        """
        Encode and fuse a batch of windows.

        A window in which every mask is False has no evidence; its output is NaN, never 0.

        :param influence: whether to compute the influence of each modality (:meth:`explain`).
        :param attention: whether to return the attention maps of the pathways.
        :raises InputError: for any violation of :class:`MavenInputs`.
        """
        features = self.encode(inputs)
        output = self.explain(features) if influence else self.fuse(features)
        if attention:
            output = replace(output, attention=self.fusion.attention_maps(features))
        return output

    # --- encoding ------------------------------------------------------------------------

    def encode(self, inputs: MavenInputs) -> Features:
        """
        Run each encoder and align its output with the time grid (eq. 12).

        :raises InputError: for what :class:`MavenInputs` does not allow.
        """
        check_inputs(inputs, self.config, round(2 * self.voice_encoder.first_s * SAMPLE_RATE_HZ))
        return Features(
            self._encode_video(inputs), self._encode_audio(inputs), self._encode_text(inputs),
            inputs.grid.slot_s)

    def _encode_video(self, inputs: MavenInputs) -> Aligned:
        if inputs.frames is None or inputs.frame_mask is None:
            return self._missing(inputs, self.face_encoder.width)
        seen = self.face_encoder(inputs.frames[inputs.frame_mask])
        values = seen.new_zeros(*inputs.frame_mask.shape, self.face_encoder.width)
        return Aligned(values.index_put((inputs.frame_mask,), seen), inputs.frame_mask)

    def _encode_audio(self, inputs: MavenInputs) -> Aligned:
        if inputs.waveform is None or inputs.heard is None:
            return self._missing(inputs, self.voice_encoder.width)
        values, mask = self.voice_encoder(inputs.waveform, inputs.heard)
        return self.align_voice(values, mask, inputs.grid)

    def _encode_text(self, inputs: MavenInputs) -> Aligned:
        if inputs.tokens is None or inputs.token_mask is None or inputs.token_weights is None:
            return self._missing(inputs, self.text_encoder.width)
        return weigh(self.text_encoder(inputs.tokens, inputs.token_mask), inputs.token_weights)

    def _missing(self, inputs: MavenInputs, width: int) -> Aligned:
        return Aligned.nothing(inputs.batch_size, inputs.grid.slots, width, self.device)

    def align_voice(self, values: Tensor, mask: Tensor, grid: Grid) -> Aligned:
        """Interpolate the output of the voice encoder to the time grid."""
        return interpolate(
            values, mask, self.voice_encoder.first_s, self.voice_encoder.step_s, grid)

    # --- fusing --------------------------------------------------------------------------

    def fuse(self, features: Features, hiding: Sequence[str] = ()) -> MavenOutput:
        """
        Map encoded windows to points: pathways, refinement, context, head (eq. 13-31), readers.

        :param features: vectors with the widths of the encoders, all on the same slots.
        :param hiding: modalities to hide, one at a time; each adds another copy of the rows.
        """
        fused = self.fusion(features, hiding)
        mask = fused.mask
        encoded = torch.where(mask[..., None], self.context(fused, features.slot_s), 0)
        seen = mask.sum(1)
        mean = encoded.sum(1) / seen.clamp(min=1)[:, None]
        with torch.autocast(mean.device.type, enabled=False):  # bfloat16 has steps of 0.004
            context = torch.cat([mean[:, None], encoded], 1).float()
            points = self.readers(self.head(context), context, features, hiding)
        known = torch.cat([(seen > 0)[:, None], mask], 1)
        point = Point(*torch.where(known, torch.stack(points), torch.nan))
        whole = {name: value[:, 0] for name, value in point._asdict().items()}
        return MavenOutput(**whole, frame_valence=point.valence[:, 1:],
                           frame_arousal=point.arousal[:, 1:], frame_mask=mask)

    def explain(self, features: Features) -> MavenOutput:
        """
        Fuse, and compute ``influence`` of each modality, which has no gradient.

        It fuses four variants in one batch: all modalities, and each modality hidden in turn.
        """
        output = self.fuse(features, MODALITIES)
        present = features.present
        batch = len(present)
        points = torch.stack([output.valence, output.arousal], -1).view(-1, batch, 2)
        distance = (points[1:] - points[0]).norm(dim=-1).T
        # A window without its only modality has no point; the NaN distance is not used.
        distance = torch.where(present & (present.sum(1, keepdim=True) > 1), distance, 0)
        moved = distance.sum(1, keepdim=True)
        shares = torch.where(moved > 0, distance, present.float())
        influence = shares / shares.sum(1, keepdim=True).clamp(min=torch.finfo(moved.dtype).tiny)
        whole: dict[str, Any] = {
            field.name: value[:batch] for field in fields(output)
            if isinstance(value := getattr(output, field.name), Tensor)}
        return MavenOutput(**whole, influence=influence.detach())


def _voice_encoder(
    config: MavenConfig, backbone: Backbone | None,
) -> VoiceEncoder | VoiceBackbone | WhisperVoice:
    if backbone is None:
        return VoiceEncoder(config)
    return WhisperVoice(backbone) if backbone.is_whisper else VoiceBackbone(backbone)


def _text_encoder(
    config: MavenConfig, backbone: Backbone | None,
) -> TextEncoder | TextBackbone | E5Text:
    if backbone is None:
        return TextEncoder(config)
    encoder = E5Text(backbone) if backbone.is_e5 else TextBackbone(backbone)
    for name, asked, most in (('max_tokens', config.max_tokens, encoder.max_tokens),
                              ('vocabulary', config.vocabulary, encoder.vocabulary)):
        if asked > most:
            raise SettingsError(f'{name}: {asked} is more than the text encoder takes; '
                                f'allowed: up to {most}')
    return encoder
