"""Folding of a network for inference: the same function of the image with fewer and cheaper operators.

Batch normalization is folded into the convolutions, the scale of the image into the first of them. Nearest up-sampling
and the depthwise convolution after it become two convolutions of the small image. The 1x1 convolutions of the FBNet
decoder are split into one of the features, which is applied before their rows are interleaved, and one of the skip. For
int8 hard swish is computed by operators that delegates run. All weights are computed once, in double precision, before
any tracing.
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
from mdepth_jax.tflite.folded_layers import ActivationLayer, ConvWeights, FoldedConv, UpsamplingConv, split_hard_swish


def fold_scale_and_shift(conv: ConvWeights, scale: np.ndarray, shift: np.ndarray) -> ConvWeights:
    """Computes the weights of the convolution that equals `scale * conv(x) + shift`, `[channels]` each."""
    return ConvWeights(conv.kernel * scale, conv.bias * scale + shift)


def scale_and_shift(norm: BatchNorm) -> tuple[np.ndarray, np.ndarray]:
    """Computes the factor and the summand, `[channels]` each, of batch normalization with its running statistics."""
    gamma, beta, mean, var = (np.asarray(v[...], np.float64) for v in (norm.scale, norm.bias, norm.mean, norm.var))
    scale = gamma / np.sqrt(var + norm.epsilon)
    return scale, beta - mean * scale


def merge_pointwise(first: ConvWeights, second: ConvWeights) -> ConvWeights:
    """Computes the 1x1 convolution of `[x, skip]` that equals `second` of `[first(x), skip]`; the skip may be empty."""
    width = len(first.bias)
    of_features, of_skip = second.kernel[:, :, :width], second.kernel[:, :, width:]
    kernel = np.concatenate([first.kernel @ of_features, of_skip], axis=2)
    return ConvWeights(kernel, second.bias + first.bias @ of_features[0, 0])


class FoldedNet(nnx.Module):
    """A depth network for inference, folded as in the docstring of this module.

    Args:
        model: Network, which stays as it is; its intermediate heads are left out.
        int8: Whether the file will be quantized to int8, see `split_hard_swish`.

    Attributes:
        mean: Mean of RGB in 0 to 255 that is subtracted from the image.
        skips: Layers between the encoder's features and the decoder, one for each feature.
    """

    def __init__(self, model: DepthNet, *, int8: bool = False):
        model = model.without_heads()
        mean, deviation, _ = PREPROCESSING[model.preprocessing]
        self.mean = mean
        self.encoder, self.decoder = model.encoder, model.decoder
        fold_layers(self)
        stem = self.encoder.stem
        stem.set_weights(ConvWeights(stem.weights.kernel / np.array(deviation)[:, np.newaxis], stem.weights.bias))
        skips: list[FoldedConv | ActivationLayer] = [ActivationLayer() for _ in self.encoder.widths]
        if isinstance(self.decoder, FBNetDecoder):
            skips = split_skip_convolutions(self.decoder, self.encoder.widths[-1])
        self.skips = nnx.List(skips)
        if int8:
            for _, layer in nnx.iter_modules(self):
                if isinstance(layer, FoldedConv | BiasedHead | ActivationLayer) and layer.activation is nnx.hard_swish:
                    layer.activation = split_hard_swish

    def __call__(self, image: Float[Array, "batch height width 3"]) -> Float[Array, "batch height width 1"]:
        """Predicts depth from RGB, 0 to 255; height and width are multiples of 32."""
        features = self.encoder(image - jnp.float32([[[self.mean]]]))
        return self.decoder(tuple(layer(x) for layer, x in zip(self.skips, features, strict=True))).depth


def fold_layers(module: Any, path: str = "") -> None:
    """Replaces every convolution of a module, in place, by a folded one with its batch normalization, if any.

    Args:
        module: Module whose children are folded, recursively.
        path: Path of the module in the network, from which the folded layers take their names.
    """
    for key, child in list(nnx.iter_children(module)):
        name = f"{path}/{key}" if path else str(key)
        if not isinstance(child, ConvNorm | Conv):
            fold_layers(child, name)
        elif isinstance(key, int):
            module[key] = fold_layer(child, name)
        else:
            setattr(module, str(key), fold_layer(child, name))


def fold_layer(layer: ConvNorm | Conv, name: str) -> FoldedConv | UpsamplingConv | MixedConv:
    """Creates the folded layer that replaces a layer of the network."""
    if isinstance(layer, Conv):
        return FoldedConv(_weights(layer), layer, None, name)
    scale, shift = scale_and_shift(layer.norm)

    def fold_part(conv: Conv | DepthwiseConv, channels: slice, name: str) -> FoldedConv | UpsamplingConv:
        weights = fold_scale_and_shift(_weights(conv), scale[channels], shift[channels])
        if isinstance(conv, DepthwiseConv) and conv.upsample:
            return UpsamplingConv(weights, conv, layer.activation, name)
        return FoldedConv(weights, conv, layer.activation, name)

    if not isinstance(layer.conv, MixedConv):
        return fold_part(layer.conv, slice(None), name)
    parts, start = [], 0
    for index, part in enumerate(layer.conv.parts):
        parts.append(fold_part(part, slice(start, start + part.out_channels), f"{name}/{index}"))
        start += part.out_channels
    return MixedConv(parts)


def split_skip_convolutions(decoder: Any, head_width: int) -> list[FoldedConv | ActivationLayer]:
    """Splits the 1x1 convolutions of `[features, skip]` in a decoder into two whose outputs are added, in place.

    The convolution of the features is merged with the linear 1x1 convolution before it and applied before their rows
    are interleaved. Nothing is concatenated: that is less work, and in int8 features and skip have their own scales.

    Args:
        decoder: `FBNetDecoder` of folded layers. Of one that adds its skips the prediction alone is changed.
        head_width: Number of channels of the encoder's last feature.

    Returns:
        The layers between the encoder's features and the decoder, one for each feature.
    """
    blocks = [*decoder.blocks] if decoder.last is None else [*decoder.blocks, decoder.last]
    convolutions = [*(block.expand for block in blocks), decoder.predict]
    skips: list[FoldedConv | ActivationLayer] = [ActivationLayer() for _ in range(len(decoder.fusions) + 1)]
    fusions = list(decoder.fusions)
    for number, conv in enumerate(convolutions):
        if conv is None or (decoder.fusion == "add" and conv is not decoder.predict):
            continue
        kernel, bias = conv.weights
        width = len(blocks[number - 1].project.weights.bias) if number else head_width
        of_features = ConvWeights(kernel[:, :, :width], bias)
        if number:
            previous = blocks[number - 1]
            merged = merge_pointwise(previous.project.weights, of_features)
            previous.depthwise.pointwise = FoldedConv(merged, conv, None, f"{conv.name}/block")
            previous.project = ActivationLayer()
        else:
            skips[-1] = FoldedConv(of_features, conv, None, f"{conv.name}/head")
        if number < len(fusions):
            of_skip = kernel if decoder.fusion == "add" else kernel[:, :, width:]
            skip = FoldedConv(ConvWeights(of_skip, np.zeros_like(bias)), conv, None, f"{conv.name}/skip")
            skips[len(fusions) - 1 - number], fusions[number] = skip, "add"
        if conv is decoder.predict:
            decoder.predict = ActivationLayer()
        else:
            blocks[number].expand = ActivationLayer(conv.activation)
    decoder.fusions = tuple(fusions)
    return skips


def _weights(conv: Conv | DepthwiseConv) -> ConvWeights:
    variable = conv.bias if isinstance(conv, Conv) else None
    bias = np.zeros(conv.out_channels) if variable is None else variable[...]
    return ConvWeights(np.asarray(conv.kernel[...], np.float64), np.asarray(bias, np.float64))
