"""The network as a phone runs it: the same function of the image by fewer and cheaper operations.

Batch normalisation moves into the convolutions, the scale of the image into the first of them. Nearest up-sampling and
the depthwise convolution behind it become two convolutions of the small image. The 1x1 convolutions of the FBNet
decoder read features and skip apart, the features before their rows are interleaved. In int8 hard swish becomes
operations that delegates take. Everything is computed here once, in double precision, before any tracing.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from mdepth_jax.models import DepthNet
from mdepth_jax.models.blocks import BiasedHead
from mdepth_jax.models.decoders import FBNetDecoder
from mdepth_jax.models.depth_net import PREPROCESSING
from mdepth_jax.models.layers import BatchNorm, Conv, ConvNorm, DepthwiseConv, MixedConv
from mdepth_jax.tflite.folded_layers import Activate, Affine, FoldedConv, UpsamplingConv, split_hard_swish


def fold_batch_norm(conv: Affine, gain: np.ndarray, offset: np.ndarray) -> Affine:
    """Gives the convolution that equals `gain * conv(x) + offset`, see `gain_and_offset`."""
    return Affine(conv.kernel * gain, conv.bias * gain + offset)


def gain_and_offset(norm: BatchNorm) -> tuple[np.ndarray, np.ndarray]:
    """Gives what batch normalisation multiplies by and adds, `[channels]` each, with its running statistics."""
    scale, bias, mean, var = (np.asarray(v[...], np.float64) for v in (norm.scale, norm.bias, norm.mean, norm.var))
    gain = scale / np.sqrt(var + norm.epsilon)
    return gain, bias - mean * gain


def merge_pointwise(first: Affine, second: Affine) -> Affine:
    """Gives the 1x1 convolution of `[x, skip]` that equals `second` of `[first(x), skip]`; the skip may be empty."""
    width = len(first.bias)
    read, kept = second.kernel[:, :, :width], second.kernel[:, :, width:]
    return Affine(np.concatenate([first.kernel @ read, kept], axis=2), second.bias + first.bias @ read[0, 0])


class FoldedNet(nnx.Module):
    """A depth network for inference alone; see the head of this file.

    Args:
        model: Its heads and everything but the depth are left out. It stays as it is.
        integers: Whether it will be quantised to int8, see `split_hard_swish`.

    Attributes:
        mean: Of RGB in 0 to 255, what is left of the scaling of the image.
    """

    def __init__(self, model: DepthNet, *, integers: bool = False):
        model = model.without_heads()
        mean, deviation, _ = PREPROCESSING[model.preprocessing]
        self.mean = mean
        self.encoder, self.decoder = model.encoder, model.decoder
        fold_layers(self)
        stem = self.encoder.stem
        stem.set(Affine(stem.arrays.kernel / np.array(deviation)[:, np.newaxis], stem.arrays.bias))
        passed: list[FoldedConv | Activate] = [Activate() for _ in self.encoder.widths]
        if isinstance(self.decoder, FBNetDecoder):
            passed = read_apart(self.decoder, self.encoder.widths[-1])
        self.passed = nnx.List(passed)
        if integers:
            for _, layer in nnx.iter_modules(self):
                if isinstance(layer, FoldedConv | BiasedHead | Activate) and layer.activation is nnx.hard_swish:
                    layer.activation = split_hard_swish

    def __call__(self, image: Float[Array, "batch height width 3"]) -> Float[Array, "batch height width 1"]:
        """Predicts depth from RGB, 0 to 255; both sides are multiples of 32."""
        features = self.encoder(image - jnp.float32([[[self.mean]]]))
        return self.decoder(tuple(layer(x) for layer, x in zip(self.passed, features, strict=True))).depth


def fold_layers(module: Any, path: str = "") -> None:
    """Replaces every convolution below a module, in place, by a folded one with its batch normalisation, if any."""
    for key, child in list(nnx.iter_children(module)):
        name = f"{path}/{key}" if path else str(key)
        if not isinstance(child, ConvNorm | Conv):
            fold_layers(child, name)
        elif isinstance(key, int):
            module[key] = fold_layer(child, name)
        else:
            setattr(module, str(key), fold_layer(child, name))


def fold_layer(layer: ConvNorm | Conv, name: str) -> FoldedConv | UpsamplingConv | MixedConv:
    """Gives what stands for a layer in a `FoldedNet`."""
    if isinstance(layer, Conv):
        return FoldedConv(_arrays(layer), layer, None, name)
    gain, offset = gain_and_offset(layer.norm)

    def fold_part(conv: Conv | DepthwiseConv, channels: slice, name: str) -> FoldedConv | UpsamplingConv:
        arrays = fold_batch_norm(_arrays(conv), gain[channels], offset[channels])
        if isinstance(conv, DepthwiseConv) and conv.upsample:
            return UpsamplingConv(arrays, conv, layer.activation, name)
        return FoldedConv(arrays, conv, layer.activation, name)

    if not isinstance(layer.conv, MixedConv):
        return fold_part(layer.conv, slice(None), name)
    parts, start = [], 0
    for index, part in enumerate(layer.conv.parts):
        parts.append(fold_part(part, slice(start, start + part.out_channels), f"{name}/{index}"))
        start += part.out_channels
    return MixedConv(parts)


def read_apart(decoder: Any, head_width: int) -> list[FoldedConv | Activate]:
    """Lets the 1x1 convolutions of a decoder read features and skip apart, in place, and add what they give.

    Features are read together with the linear 1x1 convolution before, and before their rows are interleaved. Nothing
    is concatenated: that is less work, and in int8 features and skip keep scales of their own.

    Args:
        decoder: An `FBNetDecoder` of folded layers. Of one that adds its skips the prediction alone is changed.
        head_width: Channels of the last of the encoder's features.

    Returns:
        What each of the encoder's features has to pass on its way to the decoder.
    """
    blocks = [*decoder.blocks] if decoder.last is None else [*decoder.blocks, decoder.last]
    readers = [*(block.expand for block in blocks), decoder.predict]
    passed: list[FoldedConv | Activate] = [Activate() for _ in range(len(decoder.fusions) + 1)]
    fusions = list(decoder.fusions)
    for number, reader in enumerate(readers):
        if reader is None or (decoder.fusion == "add" and reader is not decoder.predict):
            continue
        kernel, bias = reader.arrays
        width = len(blocks[number - 1].project.arrays.bias) if number else head_width
        first = Affine(kernel[:, :, :width], bias)
        if number:
            before = blocks[number - 1]
            merged = merge_pointwise(before.project.arrays, first)
            before.depthwise.reader = FoldedConv(merged, reader, None, f"{reader.name}/block")
            before.project = Activate()
        else:
            passed[-1] = FoldedConv(first, reader, None, f"{reader.name}/head")
        if number < len(fusions):
            of_skip = kernel if decoder.fusion == "add" else kernel[:, :, width:]
            skip = FoldedConv(Affine(of_skip, np.zeros_like(bias)), reader, None, f"{reader.name}/skip")
            passed[len(fusions) - 1 - number], fusions[number] = skip, "add"
        if reader is decoder.predict:
            decoder.predict = Activate()
        else:
            blocks[number].expand = Activate(reader.activation)
    decoder.fusions = tuple(fusions)
    return passed


def _arrays(conv: Conv | DepthwiseConv) -> Affine:
    given = conv.bias if isinstance(conv, Conv) else None
    bias = np.zeros(conv.out_channels) if given is None else given[...]
    return Affine(np.asarray(conv.kernel[...], np.float64), np.asarray(bias, np.float64))
