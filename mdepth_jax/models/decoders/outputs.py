"""Output and last layer of every decoder."""

from typing import NamedTuple

from jaxtyping import Array, Float

from mdepth_jax.models.layers import Conv


class DepthOutputs(NamedTuple):
    """Output of a depth network for a batch of images.

    Attributes:
        depth: Relative depth at the size of the image: larger is farther, no unit, any real value. float32.
        auxiliary: One more such map for each intermediate head, coarse to fine, in training mode; else empty.
        features: The finest decoder features at half the size of the image.
    """

    depth: Float[Array, "batch height width 1"]
    auxiliary: tuple[Float[Array, "batch height width 1"], ...]
    features: Float[Array, "batch half_height half_width channels"]


def predictor(in_channels: int, bias: float, scale: float, kernel_size: int = 1, **options) -> Conv:
    """Builds the last convolution.

    Its input includes a skip as large as the encoder's weights make it: with those of ImageNet, He's initialization
    starts far from any target. With a `scale` below 1 the network starts by predicting about `bias` everywhere.

    Args:
        in_channels: Input width.
        bias: Initial bias.
        scale: Factor of the initial kernel.
        kernel_size: Kernel size.
        options: Keyword arguments of the layer, `param_dtype` and `rngs`.
    """
    conv = Conv(in_channels, 1, kernel_size, bias=bias, **options)
    conv.kernel[...] = scale * conv.kernel[...]
    return conv
