"""Prompts of a call, and the embeddings that the network reads."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.model.transformer.text import encode_prompts
from rays_as_pixels.pipeline.options import RunOptions

TEXT_LENGTH = 512  # Wan's


@dataclass(frozen=True)
class PromptEmbeddings:
    """Embeddings of the prompt and the negative prompt; None for the network's own empty prompt."""

    positive: Float[Tensor, "samples k text"] | None = None
    negative: Float[Tensor, "samples k text"] | None = None


class Prompter:
    """Turns the words of a call into embeddings, or says why that cannot be.

    Args:
        transformer: Says whether there is a text branch, and its width.
        tokenizer: None where the model has none.
        text_encoder: None where the model has none.
        device: Where the encoder runs.
    """

    def __init__(
        self,
        transformer: RaysAsPixelsTransformer3DModel,
        *,
        tokenizer: Any,
        text_encoder: torch.nn.Module | None,
        device: torch.device,
    ) -> None:
        self.transformer, self.device = transformer, device
        self.tokenizer, self.text_encoder = tokenizer, text_encoder
        self.width: int | None = transformer.sizes.conditioning.text_dim

    def embeddings(self, run: RunOptions, *, samples: int, guided: bool) -> PromptEmbeddings:
        """Return what the network should read.

        Args:
            run: The call's options.
            samples: Videos made at once: a list of prompts must have one or as many.
            guided: Whether guidance is on; the negative prompt is not read otherwise.

        Raises:
            InputError: Words for a model without a text branch or encoder, a prompt together with
                its embeddings, or a wrong count or shape.
        """
        given = {
            "prompt": run.prompt,
            "negative_prompt": run.negative_prompt,
            "prompt_embeds": run.prompt_embeds,
            "negative_prompt_embeds": run.negative_prompt_embeds,
        }
        named = [name for name, value in given.items() if value is not None]
        if self.width is None:
            if named:
                raise InputError(
                    f"{named[0]} must be left out for a model without a text branch; got one. "
                    "Leave it out, or use a model converted from Wan (`convert-wan`)."
                )
            return PromptEmbeddings()
        positive = self._one("prompt", run.prompt, run.prompt_embeds, samples)
        negative = self._one(
            "negative_prompt", run.negative_prompt, run.negative_prompt_embeds, samples
        )
        return PromptEmbeddings(positive, negative if guided else None)

    def _one(
        self, name: str, words: str | list[str] | None, embeds: Tensor | None, samples: int
    ) -> Tensor | None:
        if words is not None and embeds is not None:
            raise InputError(
                f"{name} must be given as words or as {name}_embeds; got both. Leave one out."
            )
        if embeds is not None:
            return self._checked(f"{name}_embeds", embeds, samples)
        if words is None:
            if self.transformer.empty_text is not None:
                return None
            words = ""
        listed = [words] if isinstance(words, str) else list(words)
        _check_count(name, len(listed), samples)
        if self.text_encoder is None or self.tokenizer is None:
            raise InputError(
                f"{name} must come as {name}_embeds for a model without a text encoder; got "
                f"{listed[0]!r}. Embed it elsewhere, or convert the model with its encoder."
            )
        length = self.transformer.sizes.conditioning.text_len or TEXT_LENGTH
        return encode_prompts(
            self.tokenizer, self.text_encoder, listed, length=length, device=self.device
        )

    def _checked(self, name: str, embeds: Tensor, samples: int) -> Tensor:
        if embeds.dim() != 3 or embeds.shape[-1] != self.width:
            raise InputError(
                f"{name} must have shape (samples, tokens, {self.width}); got "
                f"{tuple(embeds.shape)}. Take the text encoder's last states."
            )
        _check_count(name, len(embeds), samples)
        return embeds.to(self.device)


def _check_count(name: str, count: int, samples: int) -> None:
    if count not in (1, samples):
        raise InputError(
            f"{name} must be one for all {samples} samples or one each; got {count}. Give one, or "
            f"set num_samples to {count}."
        )
