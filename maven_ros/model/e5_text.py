"""
A text encoder on the first layers of multilingual E5 (Wang et al. 2024).

Its authors trained these layers to give sentences of one meaning vectors of one direction, in a
hundred languages. So a small part behind them, trained on English texts, reads other languages,
too. The layers are frozen; the table of subwords stays in 4 bits.

A sentence is read as ``<s> query: ... </s>``, as E5's authors do.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertModel

from maven_ros.errors import SettingsError
from maven_ros.model.backbone_configuration import Backbone
from maven_ros.model.backbones import additive_mask, parse_config, quietly
from maven_ros.model.quantized import BLOCK, QuantizedEmbedding

_LOCAL = 4  # one part in so many of a vector speaks of its own subword, the rest of all


class E5Text(nn.Module):
    """
    E5's first layers, frozen, and a learnt part that gives a vector per subword.

    :param backbone: configuration of a BERT; ``preparation`` has the ids ``first``, ``last`` and
        ``pad``, those of the ``prefix``, and the ``width`` of a vector.
    :raises SettingsError: if the configuration cannot be built.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.bert = _build(backbone)
        config = self.bert.config
        prepared = backbone.preparation
        self.width: int = prepared['width']
        self._before = [prepared['first'], *prepared['prefix']]
        self._last, self._pad = prepared['last'], prepared['pad']
        #: Number of positions for subwords, without those around them.
        self.max_tokens: int = config.max_position_embeddings - len(self._before) - 1
        self.vocabulary: int = config.vocab_size
        self.learnt = LearntText(config.hidden_size, self.width)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """
        Encode subwords in their context.

        :param tokens: int64 (batch, length), ids of the tokenizer, without special tokens.
        :param mask: bool (batch, length), False for padding, which follows the last subword.
        :returns: (batch, length, width); arbitrary finite values where masked.
        """
        encoded: Tensor = self.learnt(self.understand(tokens, mask), mask)
        return encoded

    def understand(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """
        Run the frozen part.

        :returns: (batch, length, width of E5); arbitrary finite values where masked.
        """
        before = torch.tensor(self._before, device=tokens.device).expand(len(tokens), -1)
        lengths = mask.sum(1, keepdim=True) + before.shape[1]
        sentence = nn.functional.pad(
            torch.cat([before, tokens.where(mask, self._pad)], 1), (0, 1), value=self._pad)
        sentence.scatter_(1, lengths, self._last)
        hidden = torch.arange(sentence.shape[1], device=tokens.device) > lengths
        attended = additive_mask(hidden[:, None, None], torch.float32)
        encoded: Tensor = self.bert(sentence, attention_mask=attended).last_hidden_state
        return encoded[:, before.shape[1]:-1].float()


class LearntText(nn.Module):
    """
    The learnt part: each vector rests on its own subword, and on the mean of all.

    :param own: width of E5.
    :param width: width of a vector.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, own: int, width: int) -> None:
        super().__init__()
        self.register_buffer('mean', torch.zeros(own))
        self.register_buffer('scale', torch.ones(own))
        self.local = nn.Linear(own, width // _LOCAL)
        self.context = nn.Linear(own, width - width // _LOCAL)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Map (batch, length, own) under a mask (batch, length) to (batch, length, width)."""
        standard = (hidden - self.mean) * self.scale
        shown = mask[..., None]
        mean = torch.where(shown, standard, 0).sum(1, keepdim=True) / shown.sum(
            1, keepdim=True).clamp(min=1)
        context = nn.functional.gelu(self.context(mean))
        return torch.cat([
            self.local(standard), context.expand(-1, standard.shape[1], -1)], -1)


def _build(backbone: Backbone) -> Any:
    config = parse_config('text', backbone)
    if config.hidden_size % BLOCK:
        raise SettingsError(f'text.config.hidden_size: {config.hidden_size}; allowed: multiples '
                            f'of {BLOCK}')
    if not 0 < config.vocab_size < 1 << 31:
        raise SettingsError(f'text.config.vocab_size: {config.vocab_size}; allowed: 1 to '
                            '2**31 - 1')
    rows, config.vocab_size = config.vocab_size, 1  # the table is quantized
    try:
        with quietly():
            bert = BertModel(config, add_pooling_layer=False)
    except Exception as error:  # constructors raise any class for impossible sizes
        raise SettingsError(f'text.config: cannot be built: {error!r}') from error
    bert.embeddings.word_embeddings = QuantizedEmbedding(rows, config.hidden_size)
    config.vocab_size = rows
    return bert
