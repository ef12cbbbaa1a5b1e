"""Names of the tensors of Keras Applications, and the reading of its weights, which Keras downloads."""

import pathlib
from typing import Any

import numpy as np

from mdepth_jax.errors import UserError
from mdepth_jax.models.encoders.efficientnet import EfficientNetB0
from mdepth_jax.models.encoders.mobilenet_v1 import MobileNetV1
from mdepth_jax.models.encoders.mobilenet_v2 import MobileNetV2
from mdepth_jax.models.encoders.mobilenet_v3 import MobileNetV3Large
from mdepth_jax.models.layers import ConvNorm
from mdepth_jax.models.pretrained.naming import Endings, NamedLayers, Publisher, Recipe, Rule, block_parts, name_layers

DOWNLOAD = "keras"  # In place of a path: Keras downloads the weights once.
APPLICATIONS = {
    EfficientNetB0: "EfficientNetB0",
    MobileNetV1: "MobileNet",
    MobileNetV2: "MobileNetV2",
    MobileNetV3Large: "MobileNetV3Large",
}


def mobilenet_v1(encoder: MobileNetV1) -> NamedLayers:
    """Names the layers; blocks are counted from 1."""
    yield from name_layers(encoder.stem, "conv1", "conv1_bn")
    for number, block in enumerate(encoder.blocks, start=1):
        yield from name_layers(block.depthwise, f"conv_dw_{number}", f"conv_dw_{number}_bn")
        yield from name_layers(block.pointwise, f"conv_pw_{number}", f"conv_pw_{number}_bn")


def mobilenet_v2(encoder: MobileNetV2) -> NamedLayers:
    """Names the layers; the first block has a name of its own."""
    yield from name_layers(encoder.stem, "Conv1", "bn_Conv1")
    for number, block in enumerate(encoder.blocks):
        prefix = f"block_{number}_" if number else "expanded_conv_"
        for key, part in block_parts(block).items():
            yield from name_layers(part, f"{prefix}{key}", f"{prefix}{key}_BN")
    yield from name_layers(encoder.head, "Conv_1", "Conv_1_bn")


def mobilenet_v3_large(encoder: MobileNetV3Large) -> NamedLayers:
    """Names the layers; the head is the last layer before the classifier."""
    yield from name_layers(encoder.stem, "conv", "conv_bn")
    for number, block in enumerate(encoder.blocks):
        if isinstance(block, ConvNorm):
            yield from name_layers(block, "conv_1", "conv_1_bn")
            continue
        prefix = f"expanded_conv_{number}_" if number else "expanded_conv_"
        for key, part in block_parts(block).items():
            names = ("squeeze_excite_conv", "squeeze_excite_conv_1") if key == "squeeze_excite" else (key, f"{key}_bn")
            yield from name_layers(part, *(prefix + name for name in names))
    yield from name_layers(encoder.head, "conv_2")


def efficientnet_b0(encoder: EfficientNetB0) -> NamedLayers:
    """Names the layers; stages have numbers, their blocks letters."""
    names = {
        "expand": ("expand_conv", "expand_bn"),
        "depthwise": ("dwconv", "bn"),
        "squeeze_excite": ("se_reduce", "se_expand"),
        "project": ("project_conv", "project_bn"),
    }
    yield from name_layers(encoder.stem, "stem_conv", "stem_bn")
    for (stage, index), block in zip(encoder.positions(), encoder.blocks, strict=True):
        prefix = f"block{stage + 1}{'abcdefgh'[index]}_"
        for key, part in block_parts(block).items():
            yield from name_layers(part, *(prefix + name for name in names[key]))
    yield from name_layers(encoder.head, "top_conv", "top_bn")


RECIPES = (Recipe("tensorflow", 1e-3),)
KERAS = Publisher(
    "Keras",
    {
        EfficientNetB0: Rule(efficientnet_b0, (Recipe("torchvision_same", 1e-3),)),
        MobileNetV1: Rule(mobilenet_v1, RECIPES),
        MobileNetV2: Rule(mobilenet_v2, RECIPES),
        MobileNetV3Large: Rule(mobilenet_v3_large, RECIPES),
    },
    left_out=("predictions/", "logits/", "conv_preds/", "normalization"),
    suffixes=("", ".h5", ".keras"),
    endings=Endings(
        {"/kernel": "kernel", "/bias": "bias"},
        {"/gamma": "scale", "/beta": "bias", "/moving_mean": "mean", "/moving_variance": "var"},
    ),
)


def read_application(encoder: Any, weights: str) -> dict[str, np.ndarray]:
    """Reads with Keras the weights of the network that an encoder is taken from, classifier included.

    Args:
        encoder: Encoder of a class in `APPLICATIONS`.
        weights: `DOWNLOAD`, for those of ImageNet, or the path of a file of `model.save_weights` or `model.save`.

    Returns:
        Tensors by `layer/tensor`; kernels as height, width, in, out.

    Raises:
        UserError: If TensorFlow is missing, or Keras cannot read or download the weights.
    """
    name = APPLICATIONS[type(encoder)]
    if weights != DOWNLOAD and not pathlib.Path(weights).exists():
        raise UserError(f"{weights}: no such file")
    try:
        return application_tensors(build_application(encoder, "imagenet" if weights == DOWNLOAD else weights))
    except ImportError as error:
        raise UserError(f"Weights of Keras need TensorFlow: pip install tensorflow ({error})") from error
    except Exception as error:  # Keras raises this very class if a download fails.
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{weights}: Keras cannot read weights of {name}, classifier included ({reason})") from error


def build_application(encoder: Any, weights: str | None, size: int = 224) -> Any:
    """Builds the Keras model of the network that an encoder is taken from, classifier included.

    Args:
        encoder: Encoder of a class in `APPLICATIONS`.
        weights: `None` for random weights, `"imagenet"`, or the path of a file.
        size: Side of the square image in pixels.

    Raises:
        ValueError: If Keras has no such width.
    """
    from mdepth_jax.tensorflow_cpu import tf  # Before Keras: hides the accelerators from TensorFlow.

    options = {"input_shape": (size, size, 3), "weights": weights, "classifier_activation": None}
    if not isinstance(encoder, EfficientNetB0):
        options["alpha"] = encoder.width
    elif encoder.width != 1:
        raise ValueError("only width 1 is published")
    return getattr(tf.keras.applications, APPLICATIONS[type(encoder)])(**options)


def application_tensors(model: Any) -> dict[str, np.ndarray]:
    """Returns the tensors of a Keras model by `layer/tensor`, kernels as height, width, in, out."""
    tensors = {}
    for layer in model.layers:
        is_depthwise = type(layer).__name__ == "DepthwiseConv2D"
        for variable in layer.weights:
            value = np.asarray(variable)
            tensors[f"{layer.name}/{variable.name}"] = value.swapaxes(2, 3) if is_depthwise else value
    return tensors
