"""The backbones of the shipped networks, as in the ``config.json`` files of the hub."""

from __future__ import annotations

import dataclasses
from typing import Any

from transformers import BeitConfig, HubertConfig, PretrainedConfig, RobertaConfig, SwinConfig

from maven_ros.model.backbone_configuration import Backbone

#: IETF tags of the languages of XLM-R's corpus, on which multilingual E5 was trained.
E5_LANGUAGES = (
    'en', 'af', 'am', 'ar', 'as', 'az', 'be', 'bg', 'bn', 'br', 'bs', 'ca', 'cs', 'cy', 'da',
    'de', 'el', 'eo', 'es', 'et', 'eu', 'fa', 'fi', 'fr', 'fy', 'ga', 'gd', 'gl', 'gu', 'ha',
    'he', 'hi', 'hr', 'hu', 'hy', 'id', 'is', 'it', 'ja', 'jv', 'ka', 'kk', 'km', 'kn', 'ko',
    'ku', 'ky', 'la', 'lo', 'lt', 'lv', 'mg', 'mk', 'ml', 'mn', 'mr', 'ms', 'my', 'ne', 'nl',
    'no', 'nn', 'om', 'or', 'pa', 'pl', 'ps', 'pt', 'ro', 'ru', 'sa', 'sd', 'si', 'sk', 'sl',
    'so', 'sq', 'sr', 'su', 'sv', 'sw', 'ta', 'te', 'th', 'tl', 'tr', 'ug', 'uk', 'ur', 'uz',
    'vi', 'xh', 'yi', 'zh', 'yue')

_IMAGENET = {'mean': [0.485, 0.456, 0.406], 'std': [0.229, 0.224, 0.225]}


def base_backbones() -> dict[str, dict[str, Any]]:
    """Return the backbones of video, audio, text and context of ``base``, without weights."""
    return {
        'video': describe(Backbone(
            'microsoft/swin-base-patch4-window7-224',
            config_dict(SwinConfig(
                embed_dim=128, depths=[2, 2, 18, 2], num_heads=[4, 8, 16, 32])), _IMAGENET)),
        'audio': describe(Backbone(
            'facebook/hubert-base-ls960', config_dict(HubertConfig()), {'normalize': True})),
        'text': describe(Backbone(
            'roberta-base',
            config_dict(RobertaConfig(
                vocab_size=50265, max_position_embeddings=514, type_vocab_size=1,
                layer_norm_eps=1e-5)),
            {'first': 0, 'last': 2, 'pad': 1, 'unknown': '<unk>'})),
        'context': describe(Backbone(
            'microsoft/beit-base-patch16-224-pt22k',
            config_dict(BeitConfig(use_mean_pooling=False)), frozen=False)),
    }


def whisper_voice() -> dict[str, Any]:
    """Return the voice encoder of ``compact``: the first four layers of Whisper base."""
    return describe(Backbone(
        'openai/whisper-base', {
            'model_type': 'whisper', 'd_model': 512, 'num_mel_bins': 80, 'encoder_layers': 4,
            'encoder_attention_heads': 8, 'encoder_ffn_dim': 2048, 'max_source_positions': 1500},
        {'layers': [2, 3, 4], 'width': 256}, bits=4))


def e5_text(layers: int, pieces: int) -> dict[str, Any]:
    """
    Return a text encoder of the first layers of multilingual E5 small.

    :param pieces: subwords that are left of its table (:mod:`maven_ros.training.compact.e5_cut`).
    """
    return describe(Backbone(
        'intfloat/multilingual-e5-small', {
            'model_type': 'bert', 'hidden_size': 384, 'num_hidden_layers': layers,
            'num_attention_heads': 12, 'intermediate_size': 1536, 'vocab_size': pieces,
            'max_position_embeddings': 512, 'type_vocab_size': 2, 'layer_norm_eps': 1e-12},
        {'first': 0, 'last': 2, 'pad': 1, 'unknown': '<unk>', 'prefix': [4, 5, 6],
         'width': 256}, bits=4))


def describe(backbone: Backbone) -> dict[str, Any]:
    """Return the entry of a backbone in ``config.json``."""
    return dataclasses.asdict(backbone)


def config_dict(config: PretrainedConfig) -> dict[str, Any]:
    """Return the configuration of a backbone, without defaults."""
    values: dict[str, Any] = config.to_diff_dict()
    for name in ('transformers_version', 'architectures', 'dtype', 'id2label', 'label2id'):
        values.pop(name, None)
    return values
