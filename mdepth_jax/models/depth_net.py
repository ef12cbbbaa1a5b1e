"""The depth network: scaling of the image, an encoder and a decoder."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, UInt8
from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.keys import Condition, Key, check_values, nest_defaults, when
from mdepth_jax.models.decoders import DECODERS, DepthOutputs
from mdepth_jax.models.depthwise import Padding
from mdepth_jax.models.encoders import ENCODERS
from mdepth_jax.models.widths import narrow

Preprocessing = Literal["tensorflow", "tensorflow_symmetric", "torchvision", "torchvision_same", "redweb"]
Image = UInt8[Array, "batch height width 3"] | Float[Array, "batch height width 3"]


class InputFormat(NamedTuple):
    """Scaling and padding that belong to the weights of a network.

    Attributes:
        mean: Mean of R, G and B, 0 to 255.
        deviation: Standard deviation of R, G and B, on the same scale.
        padding: Padding of strided convolutions.
    """

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    padding: Padding


UNIT = (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)
IMAGENET = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
PREPROCESSING: dict[str, InputFormat] = {
    "tensorflow": InputFormat(*UNIT, "SAME"),
    "tensorflow_symmetric": InputFormat(*UNIT, "symmetric"),
    "torchvision": InputFormat(*IMAGENET, "symmetric"),
    "torchvision_same": InputFormat(*IMAGENET, "SAME"),
    # Applies ImageNet's figures for R, G, B to B, G, R, as the teacher of that name was trained.
    "redweb": InputFormat((103.53, 116.28, 123.675), (57.375, 57.12, 58.395), "symmetric"),
}
STRIDE = 32


class DepthNet(nnx.Module):
    """Network from an image to relative depth (Sec. 3.1).

    Args:
        encoder: Network of features at strides 2, 4, 8, 16, 32 and of its head.
        decoder: Network from these features to `DepthOutputs`.
        preprocessing: Scaling of the image: to -1..1 (`"tensorflow..."`), by ImageNet's mean and deviation
            (`"torchvision..."`), or by those in the wrong order (`"redweb"`).
        dtype: Dtype of the computation; batch statistics and predictions are always float32.
    """

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        preprocessing: Preprocessing = "tensorflow",
        dtype=jnp.float32,
    ):
        self.encoder, self.decoder = encoder, decoder
        self.preprocessing, self.dtype = preprocessing, dtype

    def __call__(self, image: Image) -> DepthOutputs:
        """Predicts depth.

        Args:
            image: RGB, 0 to 255. A side that is no multiple of 32 is padded by repeating its last row or
                column, and the outputs are cropped.
        """
        height, width = image.shape[1:3]
        mean, deviation, _ = PREPROCESSING[self.preprocessing]
        image = (image.astype(jnp.float32) - jnp.float32([[[mean]]])) / jnp.float32([[[deviation]]])
        pads = (0, 0), (0, -height % STRIDE), (0, -width % STRIDE), (0, 0)
        image = jnp.pad(image.astype(self.dtype), pads, mode="edge")
        outputs = self.decoder(self.encoder(image))
        half_height, half_width = -(-height // 2), -(-width // 2)
        return DepthOutputs(
            outputs.depth[:, :height, :width],
            tuple(map_[:, :height, :width] for map_ in outputs.auxiliary),
            outputs.features[:, :half_height, :half_width],
        )

    def without_heads(self) -> "DepthNet":
        """Returns a copy in evaluation mode, sharing its arrays, without intermediate heads."""
        model = nnx.clone(self, variables=False)
        model.decoder.heads = nnx.List()
        model.eval()
        return model


_FBNET = when("model.decoder", "fbnet")

KEYS: Mapping[str, Key] = {
    "encoder": Key("mobilenet_v2", "Encoder.", tuple(ENCODERS)),
    "width": Key(1.0, "Multiplier of the encoder's widths.", above=0),
    "norm_epsilon": Key(
        1e-5, "Epsilon of the encoder's batch normalization; weights from TensorFlow need 1e-3.", above=0
    ),
    "preprocessing": Key(
        "tensorflow",
        "Scaling of the image and padding: to -1..1 with SAME, ImageNet's mean and deviation with symmetric, or mixed.",
        tuple(PREPROCESSING),
    ),
    "decoder": Key("fbnet", "Decoder.", tuple(DECODERS)),
    "kernel": Key(
        5, "Kernel of the decoder's depthwise convolutions.", (3, 5), read_if=when("model.decoder", "fbnet", "nnconv5")
    ),
    "expansion": Key(2.0, "Expansion of the decoder's blocks.", above=0, read_if=_FBNET),
    "fusion": Key("concat", "Fusion of the skip connections.", ("concat", "add"), read_if=_FBNET),
    "last_layer": Key(
        "upsample",
        "Upsampled depth (x112 in the paper), or a block at full size.",
        ("upsample", "block"),
        read_if=_FBNET,
    ),
    "heads": Key(
        2,
        "Number of intermediate predictions, in training only; other decoders need 0.",
        (0, 1, 2),
        read_if=_FBNET,
        idle=0,
    ),
    "output_bias": Key(0.0, "Mean prediction of an untrained network."),
    "output_scale": Key(
        1.0, "Scale of the last layer's initial kernel: 1 is He's; if small, the network starts at its bias."
    ),
    "dtype": Key("float32", "Type of the computation.", ("float32", "bfloat16")),
    "widths": Key((), "Widths of a pruned network, as `mdepth_jax.prune` writes them; empty: the encoder's own."),
    "pretrained": Key(
        "",
        "Pretrained weights of the encoder: a file, or `keras`.",
        read_if=Condition(("model.start",), "an empty `model.start`", lambda config: not config.model.start),
    ),
    "start": Key("", "Run directory or `.safetensors` of ours whose weights to start from."),
}
"""Keys of the group `model`; the defaults are the paper's network (Sec. 4.2)."""


def default_config() -> ConfigDict:
    """Returns the configuration of the paper's network, which `build_model` and `save_weights` read."""
    return ConfigDict(nest_defaults(KEYS))


def build_model(config: Any, *, rngs: nnx.Rngs) -> DepthNet:
    """Builds the network of a configuration.

    Args:
        config: Object with the fields of `default_config`.
        rngs: Seeds of the initialization.

    Raises:
        UserError: If a value is not allowed, or the encoder or the decoder does not support it.
    """
    check_values(KEYS, config, "config.model.")
    if config.heads and config.decoder != "fbnet":
        raise UserError(
            f"`config.model.heads` is {config.heads}; the decoder {config.decoder} has none: set `config.model.heads=0`"
        )
    if config.heads and config.widths:
        raise UserError(
            f"`config.model.heads` is {config.heads}; a pruned network (`config.model.widths`) has none: "
            "set `config.model.heads=0`"
        )
    options = {"output_bias": config.output_bias, "output_scale": config.output_scale}
    if config.decoder != "redweb":
        options["kernel_size"] = config.kernel
    if config.decoder == "fbnet":
        options |= {key: getattr(config, key) for key in ("expansion", "fusion", "last_layer", "heads")}
    try:
        encoder = ENCODERS[config.encoder](config.width, PREPROCESSING[config.preprocessing].padding, rngs=rngs)
    except ValueError as error:
        raise UserError(f"`config.model.width` is {config.width}; {error}") from error
    encoder.set_attributes(epsilon=config.norm_epsilon)
    decoder = DECODERS[config.decoder](encoder.widths, rngs=rngs, **options)
    model = DepthNet(encoder, decoder, config.preprocessing, jnp.dtype(config.dtype))
    narrow(model, config.widths)
    return model
