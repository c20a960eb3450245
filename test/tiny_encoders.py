"""Tiny random encoders of transformers, in memory and as folders in the hub's format."""

import json
import os
import shutil

os.environ['HF_HUB_OFFLINE'] = '1'

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    BeitConfig,
    BeitForMaskedImageModeling,
    ConvNextConfig,
    ConvNextForImageClassification,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    DebertaV2Tokenizer,
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertTokenizer,
    EfficientNetConfig,
    EfficientNetForImageClassification,
    HubertConfig,
    HubertModel,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaTokenizer,
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
    WavLMConfig,
    WavLMModel,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
    XLMRobertaTokenizer,
)

from maven_ros.model.backbone_configuration import Backbone
from maven_ros.model.checkpoint import save
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.hub import text_tokenizer
from maven_ros.model.maven import MavenModel
from maven_ros.model.presets import config_dict, describe
from maven_ros.resources import resource

SIZES = {'num_hidden_layers': 1, 'num_attention_heads': 2, 'intermediate_size': 16}
IMAGE = {'image_size': 16, 'patch_size': 4}
SPEECH = {**SIZES, 'hidden_size': 16, 'conv_dim': (8,) * 7, 'num_conv_pos_embeddings': 4,
          'num_conv_pos_embedding_groups': 2, 'vocab_size': 9}
LAYER = {'feat_extract_norm': 'layer', 'do_stable_layer_norm': True, 'conv_bias': True}
ROBERTA = {**SIZES, 'hidden_size': 12, 'vocab_size': 300, 'max_position_embeddings': 40,
           'type_vocab_size': 1}

#: kind -> the model as the hub has it, with the head of its own task, and its configuration.
VIDEO = {
    'swin': (SwinForImageClassification, SwinConfig(
        image_size=16, patch_size=2, window_size=2, embed_dim=8, depths=[1, 1],
        num_heads=[1, 2])),
    'vit': (ViTForImageClassification, ViTConfig(**SIZES, **IMAGE, hidden_size=12)),
    'convnext': (ConvNextForImageClassification, ConvNextConfig(
        hidden_sizes=[8, 12], depths=[1, 1], num_stages=2)),
    'efficientnet': (EfficientNetForImageClassification, EfficientNetConfig(
        image_size=16, width_coefficient=0.1, depth_coefficient=0.1, hidden_dim=128,
        in_channels=[8, 8], out_channels=[8, 8], kernel_sizes=[3, 3], strides=[1, 2],
        num_block_repeats=[1, 1], expand_ratios=[1, 2], depthwise_padding=[])),
}
AUDIO = {
    'hubert': (HubertModel, HubertConfig(**SPEECH)),
    'hubert-layer': (HubertModel, HubertConfig(**SPEECH, **LAYER)),
    'wav2vec2': (Wav2Vec2ForCTC, Wav2Vec2Config(**SPEECH, **LAYER)),
    'wavlm': (WavLMModel, WavLMConfig(**SPEECH, **LAYER)),
}
TEXT = {
    'roberta': (RobertaForMaskedLM, RobertaConfig(**ROBERTA)),
    'xlm-roberta': (XLMRobertaForMaskedLM, XLMRobertaConfig(**ROBERTA)),
    'distilbert': (DistilBertForMaskedLM, DistilBertConfig(
        dim=12, n_heads=2, n_layers=1, hidden_dim=16, vocab_size=300,
        max_position_embeddings=40)),
    'deberta-v2': (DebertaV2ForMaskedLM, DebertaV2Config(
        **ROBERTA, relative_attention=True, pos_att_type=['p2c', 'c2p'], position_buckets=8)),
}
CONTEXT = {
    'beit': (BeitForMaskedImageModeling, BeitConfig(
        **SIZES, **IMAGE, hidden_size=12, vocab_size=9, use_mean_pooling=False,
        use_shared_relative_position_bias=True, use_mask_token=True)),
    # As the hub has pt22k: the norm after the layers is outside of what its configuration builds.
    'beit-pt22k': (BeitForMaskedImageModeling, BeitConfig(
        **SIZES, **IMAGE, hidden_size=12, vocab_size=9, use_mean_pooling=True,
        use_shared_relative_position_bias=True, use_mask_token=True)),
}

IMAGE_PREPARATION = {'mean': [0.5, 0.4, 0.3], 'std': [0.2, 0.3, 0.4]}


def _beit():
    values = config_dict(CONTEXT['beit'][1])
    return {**values, 'use_shared_relative_position_bias': False}


#: The same network as ``TINY`` of conftest.py, on backbones.
BACKBONES = {
    'video': describe(Backbone('swin', config_dict(VIDEO['swin'][1]), IMAGE_PREPARATION)),
    'audio': describe(Backbone(
        'hubert-layer', config_dict(AUDIO['hubert-layer'][1]), {'normalize': True})),
    'text': describe(Backbone(
        'roberta', config_dict(TEXT['roberta'][1]),
        {'first': 0, 'last': 2, 'pad': 1, 'unknown': '<unk>'})),
    'context': describe(Backbone('beit', _beit(), frozen=False)),
}


def tiny_config(**changes):
    return MavenConfig(**{
        'name': 'tiny', 'crop_px': 16, 'face_channels': (8, 32), 'mel_bands': 16,
        'voice_width': 8, 'voice_channels': (4, 8), 'vocabulary': 300, 'max_tokens': 12,
        'text_width': 8, 'text_layers': 1, 'fusion_width': 16, 'context_width': 12,
        'head_width': 8, **changes})


def save_encoder(folder, kind, seed=0):
    """Write a folder as the hub has it; return the model of the whole task."""
    part, (build, config) = next(
        (part, kinds[kind]) for part, kinds in (
            ('video', VIDEO), ('audio', AUDIO), ('text', TEXT), ('context', CONTEXT))
        if kind in kinds)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build(config).eval()
        for parameter in model.parameters():  # norms and biases start trivial
            torch.nn.init.normal_(parameter, 0.1, 0.2)
    model.save_pretrained(folder)
    if part in ('video', 'audio'):
        (folder / 'preprocessor_config.json').write_text(json.dumps(PREPROCESSORS[part]))
    elif part == 'text':
        save_tokenizer(folder, kind)
    return model


PREPROCESSORS = {
    'video': {'do_normalize': True, 'do_rescale': True, 'do_resize': True,
              'image_mean': IMAGE_PREPARATION['mean'], 'image_std': IMAGE_PREPARATION['std'],
              'rescale_factor': 1 / 255, 'resample': 3, 'size': {'height': 16, 'width': 16}},
    'audio': {'do_normalize': True, 'feature_extractor_type': 'Wav2Vec2FeatureExtractor',
              'feature_size': 1, 'padding_side': 'right', 'padding_value': 0,
              'return_attention_mask': False, 'sampling_rate': 16000},
}


def save_checkpoint(folder):
    """Write a checkpoint on encoders of the hub, which lie beside it; return its path."""
    for kind in ('swin', 'hubert', 'roberta', 'beit'):
        save_encoder(folder / kind, kind)
    model = MavenModel.from_encoders(
        video=folder / 'swin', audio=folder / 'hubert', text=folder / 'roberta',
        context=folder / 'beit', config=tiny_config())
    save(folder / 'trained', model, text_tokenizer(folder / 'roberta'))
    return str(folder / 'trained')


def save_tokenizer(folder, kind):
    if kind == 'roberta':
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.train_from_iterator(['a good day, a good day'], trainers.BpeTrainer(
            vocab_size=290, special_tokens=['<s>', '<pad>', '</s>', '<unk>', '<mask>'],
            show_progress=False, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
        model = json.loads(tokenizer.to_str())['model']
        RobertaTokenizer(
            vocab=model['vocab'], merges=[tuple(pair) for pair in model['merges']],
        ).save_pretrained(folder)
    elif kind == 'xlm-roberta':
        pieces = ['<s>', '<pad>', '</s>', '<unk>', '▁good', '▁day', '▁a', '▁', *'abdgoy']
        XLMRobertaTokenizer(vocab=[(piece, -float(index)) for index, piece in enumerate(pieces)]
                            ).save_pretrained(folder)
    elif kind == 'deberta-v2':
        pieces = ['[PAD]', '[CLS]', '[SEP]', '[UNK]', '▁good', '▁day', '▁a', '▁', *'abdgoy']
        DebertaV2Tokenizer(vocab=[(piece, -float(index)) for index, piece in enumerate(pieces)]
                           ).save_pretrained(folder)
    else:
        pieces = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'good', 'day', 'a', '##s']
        DistilBertTokenizer(vocab={piece: index for index, piece in enumerate(pieces)}
                            ).save_pretrained(folder)


def write_untrained(folder):
    """Write what an untrained `compact` needs: its shape, and its tokenizer."""
    shipped = resource('models/compact')
    shutil.copy(shipped / 'tokenizer.json', folder)
    config = json.loads((shipped / 'config.json').read_text('utf-8'))
    (folder / 'config.json').write_text(json.dumps({**config, 'trained': False}), 'utf-8')
    return folder
