"""What every decoder gives, and the layer that it ends with."""

from typing import NamedTuple

from jaxtyping import Array, Float

from mdepth_jax.models.layers import Conv


class DepthOutputs(NamedTuple):
    """What a depth network gives for a batch of images.

    Attributes:
        depth: Relative depth at the size of the image: larger is farther, no unit, any real value. float32.
        auxiliary: In training mode one more such map per intermediate head, coarse to fine; else empty.
        features: The finest decoder features at half the size of the image.
    """

    depth: Float[Array, "batch height width 1"]
    auxiliary: tuple[Float[Array, "batch height width 1"], ...]
    features: Float[Array, "batch half_height half_width channels"]


def predictor(in_channels: int, bias: float, scale: float, kernel_size: int = 1, **options) -> Conv:
    """The last convolution.

    Its input holds a skip as strong as the encoder's weights make it: with ImageNet's, He's initialization starts far
    from any target. A `scale` below 1 shrinks it, so that the network starts by predicting about `bias` everywhere.
    """
    conv = Conv(in_channels, 1, kernel_size, bias=bias, **options)
    conv.kernel[...] = scale * conv.kernel[...]
    return conv
