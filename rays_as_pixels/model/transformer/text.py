"""Prompts to embeddings, as Wan's own pipeline makes them. Needs the package `transformers`."""

import html
import importlib.util
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError


def clean_prompt(prompt: str) -> str:
    """Undo HTML entities and runs of white space; also broken Unicode where ftfy is installed."""
    if importlib.util.find_spec("ftfy") is not None:
        import ftfy  # noqa: PLC0415 - optional

        prompt = ftfy.fix_text(prompt)
    return " ".join(html.unescape(html.unescape(prompt)).split())


@torch.no_grad()
def encode_prompts(
    tokenizer: Any,
    text_encoder: torch.nn.Module,
    prompts: Sequence[str],
    *,
    length: int,
    device: torch.device,
) -> Float[Tensor, "prompts length text"]:
    """Embed prompts: the encoder's last states, with zeros after the end of each prompt.

    Args:
        tokenizer: Of the encoder.
        text_encoder: UMT5 encoder.
        prompts: Texts.
        length: Rows of the result; Wan was trained at 512.
        device: Where the encoder runs.

    Raises:
        InputError: A prompt has more tokens than `length`.
    """
    cleaned = [clean_prompt(prompt) for prompt in prompts]
    tokens = tokenizer(
        cleaned,
        padding="max_length",
        max_length=length,
        truncation=False,
        add_special_tokens=True,
        return_attention_mask=True,
    )
    longest = max(len(row) for row in tokens["input_ids"])
    if longest > length:
        raise InputError(
            f"prompt must have at most {length} tokens; got {longest}. Shorten it, or split it "
            "over several clips."
        )
    mask = torch.tensor(tokens["attention_mask"], device=device)
    ids = torch.tensor(tokens["input_ids"], device=device)
    states = text_encoder(ids, mask).last_hidden_state
    return states * mask[..., None].to(states.dtype)
