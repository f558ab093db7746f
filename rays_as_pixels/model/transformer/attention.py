"""Decoupled self-cross attention (paper, section "Network"), and its slow, obvious twin.

Each modality attends to itself; then video queries ray keys and values while rays query video keys
and values. Queries and keys are rotated by their continuous positions in both.
"""

from typing import Any, cast

import torch
from diffusers.models.attention import AttentionModuleMixin
from diffusers.models.attention_dispatch import dispatch_attention_fn
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.model.transformer.rope import Tables, apply_rotary


class RotaryAttentionProcessor:
    """Attention through diffusers' dispatcher, so that its backends can be selected."""

    _attention_backend = None
    _parallel_config = None

    def __call__(
        self,
        attn: "RotaryAttention",
        hidden_states: Float[Tensor, "batch n width"],
        context: Float[Tensor, "batch m width"] | None = None,
        query_rotary: Tables | None = None,
        key_rotary: Tables | None = None,
    ) -> Float[Tensor, "batch n width"]:
        """Attend from `hidden_states` to `context` (to itself if None)."""
        source = hidden_states if context is None else context
        query, key, value = attn.projected(hidden_states, source)
        if query_rotary is not None and key_rotary is not None:
            query, key = apply_rotary(query, query_rotary), apply_rotary(key, key_rotary)
        # Under context parallelism a process holds a share of both streams, but all of the text.
        shared_out = context is None or key_rotary is not None
        result = self._attend(query, key, value, shared_out=shared_out)
        return attn.to_out[1](attn.to_out[0](result.flatten(2, 3).type_as(hidden_states)))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, *, shared_out: bool) -> Tensor:
        return dispatch_attention_fn(
            query,
            key,
            value,
            attn_mask=None,
            dropout_p=0.0,
            is_causal=False,
            backend=self._attention_backend,
            parallel_config=self._parallel_config if shared_out else None,
        )


class MatmulAttentionProcessor(RotaryAttentionProcessor):
    """Attention written out as two products and a softmax.

    For training on a CPU in bfloat16, where the backward pass of the fused kernel takes a third of
    a step at a few hundred tokens, and this a tenth.
    """

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, *, shared_out: bool) -> Tensor:
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))
        weight = torch.softmax(query @ key.mT * query.shape[-1] ** -0.5, dim=-1)
        return (weight.to(value.dtype) @ value).transpose(1, 2)


class QueryKeyNorm(nn.RMSNorm):
    """RMSNorm whose weight follows the input's dtype: under autocast it stays one fused call."""

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Normalise the last axis."""
        return nn.functional.rms_norm(
            x, tuple(self.normalized_shape), self.weight.to(x.dtype), self.eps
        )


class RotaryAttention(nn.Module, AttentionModuleMixin):
    """Multi-head attention with RMS-normalised queries and keys; names as in WanAttention."""

    _default_processor_cls = RotaryAttentionProcessor
    processor: Any  # diffusers' union of processors leaves out those of others
    _available_processors = [RotaryAttentionProcessor, MatmulAttentionProcessor]  # noqa: RUF012 - diffusers' protocol

    def __init__(self, dim: int, *, heads: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.heads = heads
        self.is_cross_attention = False
        self.to_q = nn.Linear(dim, dim)
        self.to_k = nn.Linear(dim, dim)
        self.to_v = nn.Linear(dim, dim)
        self.to_out = nn.ModuleList([nn.Linear(dim, dim), nn.Dropout(0.0)])
        self.norm_q = QueryKeyNorm(dim, eps=eps)
        self.norm_k = QueryKeyNorm(dim, eps=eps)
        self.set_processor(cast(Any, RotaryAttentionProcessor()))

    def projected(
        self, hidden_states: Float[Tensor, "batch n width"], source: Float[Tensor, "batch m width"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values as (batch, tokens, heads, head_dim)."""
        query = self.norm_q(self.to_q(hidden_states)).unflatten(2, (self.heads, -1))
        key = self.norm_k(self.to_k(source)).unflatten(2, (self.heads, -1))
        return query, key, self.to_v(source).unflatten(2, (self.heads, -1))

    def forward(
        self,
        hidden_states: Float[Tensor, "batch n width"],
        context: Float[Tensor, "batch m width"] | None = None,
        query_rotary: Tables | None = None,
        key_rotary: Tables | None = None,
    ) -> Float[Tensor, "batch n width"]:
        """Attend; see the processor."""
        return self.processor(self, hidden_states, context, query_rotary, key_rotary)


def slow_attention(
    attn: RotaryAttention,
    hidden_states: Float[Tensor, "batch n width"],
    context: Float[Tensor, "batch m width"] | None = None,
    query_rotary: Tables | None = None,
    key_rotary: Tables | None = None,
) -> Float[Tensor, "batch n width"]:
    """Do what RotaryAttention does, one head and one query at a time: the specification."""
    source = hidden_states if context is None else context
    query, key, value = attn.projected(hidden_states, source)
    if query_rotary is not None and key_rotary is not None:
        query, key = apply_rotary(query, query_rotary), apply_rotary(key, key_rotary)
    batch, tokens, heads, head_dim = query.shape
    rows = []
    for b in range(batch):
        for n in range(tokens):
            parts = []
            for head in range(heads):
                logits = key[b, :, head] @ query[b, n, head] / head_dim**0.5
                weight = torch.exp(logits - logits.max())
                parts.append((weight / weight.sum()) @ value[b, :, head])
            rows.append(torch.cat(parts))
    return attn.to_out[0](torch.stack(rows).unflatten(0, (batch, tokens)))
