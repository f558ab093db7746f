"""Floating-point operations of a step, counted from the architecture: 2 per multiply-add."""

from benchmarks.shapes import Clip, Network


def joint_step(network: Network, clip: Clip) -> float:
    """Count one call of the joint network on one sample."""
    video, rays = network.tokens(clip)
    per_block = _joint_block(network, video, rays)
    return network.layers * per_block + _ends(network, video + rays)


def _joint_block(network: Network, video: int, rays: int) -> float:
    both, width = video + rays, network.width
    projections = 2 * 4 * width**2 * both * 2  # self-attention and cross-attention: Q, K, V, O
    attention = 4 * width * (video**2 + rays**2 + 2 * video * rays)
    feed_forward = 4 * width * network.ffn * both
    text = 0.0
    if network.text is not None:
        text = (
            4 * width**2 * (video + network.text_tokens) + 4 * width * video * network.text_tokens
        )
    return projections + attention + feed_forward + text


def wan_step(network: Network, clip: Clip) -> float:
    """Count one call of WanTransformer3DModel with as many tokens as both streams have."""
    tokens, width = sum(network.tokens(clip)), network.width
    block = (
        2 * 4 * width**2 * tokens
        + 4 * width * tokens**2
        + 4 * width * network.ffn * tokens
        + 4 * width**2 * (tokens + network.text_tokens)
        + 4 * width * tokens * network.text_tokens
    )
    return network.layers * block + _ends(network, tokens)


def _ends(network: Network, tokens: int) -> float:
    """Count patches in and out, and the prompt's embedding."""
    patches = 4 * network.width * network.channels * network.patch**2 * tokens
    text = network.text or 0
    return patches + 2 * network.width * (text + network.width) * network.text_tokens * bool(text)
