"""A Wan 2.1 text-to-video pipeline of toy size with random weights, as diffusers saves it."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from rays_as_pixels.model.wan.folder import ConvertOptions, convert_wan

WORDS = ["<pad>", "</s>", "<unk>", "a", "cat", "walks", "blurred", "room", "through", "the"]


def tiny_transformer(**changes) -> WanTransformer3DModel:
    config = {
        "patch_size": (1, 2, 2),
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "in_channels": 4,
        "out_channels": 4,
        "text_dim": 16,
        "freq_dim": 32,
        "ffn_dim": 48,
        "num_layers": 2,
    }
    model = WanTransformer3DModel(**{**config, **changes}).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def tiny_text_encoder() -> UMT5EncoderModel:
    return UMT5EncoderModel(
        UMT5Config(
            vocab_size=len(WORDS),
            d_model=16,
            d_kv=8,
            d_ff=32,
            num_layers=2,
            num_heads=2,
            feed_forward_proj="gated-gelu",
        )
    ).eval()


def tiny_vae() -> AutoencoderKLWan:
    return AutoencoderKLWan(
        base_dim=4,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.1, -0.2, 0.3, 0.0],
        latents_std=[1.5, 0.7, 1.0, 2.0],
    ).eval()


def tiny_wan(**changes) -> WanPipeline:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pipe = WanPipeline(
            tokenizer=tiny_tokenizer(),
            text_encoder=tiny_text_encoder(),
            vae=tiny_vae(),
            transformer=tiny_transformer(**changes),
            scheduler=UniPCMultistepScheduler(
                prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
            ),
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def saved_wan(folder: Path, *, max_shard_size: str | None = None, **changes) -> WanPipeline:
    pipe = tiny_wan(**changes)
    pipe.save_pretrained(folder, max_shard_size=max_shard_size)
    return pipe


def saved_joint(place: Path) -> Path:
    """Convert a toy Wan to a joint pipeline in which every part counts.

    Its gates are open, and its text attention looks at few of the 512 tokens.
    """
    saved_wan(place / "wan")
    options = ConvertOptions(num_frames=5, max_frames=9, sizes=((32, 32),))
    convert_wan(place / "wan", place / "joint", options, progress=lambda stage, done, total: None)
    file = place / "joint" / "transformer" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    generator = torch.Generator().manual_seed(2)
    for name, weight in weights.items():
        if "cross" in name or name.endswith("kind_embedding"):
            weights[name] = weight + 0.2 * torch.randn(weight.shape, generator=generator)
        if "attn2.norm_" in name:
            weights[name] = torch.full_like(weight, 2.0)
        if "attn2.to_out" in name or "text_embedder" in name:
            weights[name] = 4 * weight
    save_file(weights, file, metadata={"format": "pt"})
    return place / "joint"
