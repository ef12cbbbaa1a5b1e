"""The NNConv5 decoder of FastDepth (Wofk et al. 2019), used with every encoder in the paper's Table 1."""

import itertools
from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from mdepth_jax.models.blocks import SeparableConv
from mdepth_jax.models.decoders.outputs import DepthOutputs, predictor
from mdepth_jax.models.depthwise import upsample_nearest


class NNConv5Decoder(nnx.Module):
    """Five separable convolutions with nearest upsampling, and a linear 1x1 prediction; no skips.

    Unlike FastDepth's, whose last layer is normalized and rectified, it can predict below zero. It predicts before the
    last upsampling, which repeats pixels: the values are the same.

    Args:
        widths: Numbers of channels of the encoder's features; only the last is read.
        kernel_size: Kernel size of the depthwise convolutions.
        output_bias: Initial bias of the prediction.
        output_scale: Factor of the initial kernel of the prediction, see `predictor`.
        param_dtype: Dtype of the parameters.
        rngs: Seeds of the initialization.
    """

    stage_widths = (512, 256, 128, 64, 32)

    def __init__(
        self,
        widths: Sequence[int],
        kernel_size: int = 5,
        output_bias: float = 0.0,
        output_scale: float = 1.0,
        *,
        param_dtype=jnp.float32,
        rngs: nnx.Rngs,
    ):
        options = {"param_dtype": param_dtype, "rngs": rngs}
        ins = widths[-1], *self.stage_widths
        self.blocks = nnx.List(
            SeparableConv(*channels, kernel_size, upsample=stage > 0, **options)
            for stage, channels in enumerate(itertools.pairwise(ins))
        )
        self.heads = nnx.List[nnx.Module]()
        self.predict = predictor(self.stage_widths[-1], output_bias, output_scale, **options)

    def __call__(self, features: tuple[Float[Array, "batch _ _ _"], ...]) -> DepthOutputs:
        """Decodes the encoder's last feature."""
        x = features[-1]
        for block in self.blocks:
            x = block(x)
        return DepthOutputs(upsample_nearest(self.predict(x).astype(jnp.float32)), (), x)
