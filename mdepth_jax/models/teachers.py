"""Teachers of distillation: functions from images to depth and features (Section 3.3)."""

import os
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, UInt8

from mdepth_jax.errors import UserError
from mdepth_jax.models.depth_net import DepthNet, Image, build_model, default_config
from mdepth_jax.models.pretrained.load import fit_tensors
from mdepth_jax.models.pretrained.naming import named_variables
from mdepth_jax.models.pretrained.tensors import PYTORCH_SUFFIXES, read_tensors
from mdepth_jax.models.pretrained.youtube3d import encdecresnet
from mdepth_jax.models.weights import load_weights

ENCDECRESNET_SIZE = 384, 384
"""Height and width at which EncDecResNet was trained."""


class Prediction(NamedTuple):
    """Prediction of a teacher.

    Attributes:
        depth: Depth in the teacher's own unit; larger = farther.
        features: Features of its penultimate decoder layer, for the pair-wise loss.
    """

    depth: Float[Array, "batch height width 1"]
    features: Float[Array, "batch feature_height feature_width channels"]


def load_encdecresnet(path: str | os.PathLike) -> DepthNet:
    """Loads the ResNet-50 network of Xian et al. 2018 with the weights that the YouTube3D project publishes.

    These weights expect OpenCV's channel order, blue first; the input channels of the first kernel are reversed, so
    that the network takes RGB.

    Args:
        path: Published checkpoint, or its tensors in another file that `read_tensors` reads, with or without the prefix
            `module.`.

    Returns:
        The network in evaluation mode; a larger depth is farther. It was trained at `ENCDECRESNET_SIZE`.

    Raises:
        UserError: If the file cannot be read, or a tensor is missing, unexpected, of the wrong shape or not finite.
    """
    config = default_config()
    config.update(encoder="resnet50", decoder="redweb", preprocessing="redweb", heads=0)
    model = nnx.eval_shape(lambda: build_model(config, rngs=nnx.Rngs(0)))
    variables = named_variables(encdecresnet(model))
    for name, value in fit_tensors(path, read_tensors(pathlib.Path(path)), variables).items():
        variables[name].set_value(value)
    first = model.encoder.stem.conv.kernel
    first[...] = first[...][:, :, ::-1]
    model.eval()
    return model


def load_teacher(
    run: str, place: Callable[[Any], Any] = lambda tree: tree, *, log: float | None = None, inverted: bool = False
) -> Callable[[Any], Prediction]:
    """Builds a jitted teacher from a trained network.

    A network of ours sees images at the student's size, EncDecResNet at `ENCDECRESNET_SIZE`: the image is resized, and
    the outputs are resized to the sizes that they have with a network of ours, depth to that of the image and features
    to half of it, where the pair-wise loss compares them with the student's.

    Args:
        run: Run directory, `.safetensors` file or name, see `find_weights`, or the published EncDecResNet as `.npz` or
            PyTorch file.
        place: Function that puts the weights where they belong, such as on every device of a mesh.
        log: Key `data.log` of the student, whose depth must be in the teacher's unit; None where it need not be.
        inverted: Whether the network's output is larger where the image is nearer; it is negated.

    Returns:
        Function from images `[B, H, W, 3]`, uint8 RGB, to a `Prediction`; no gradient is ever taken through it.

    Raises:
        UserError: If the network cannot be loaded, see `load_weights` and `load_encdecresnet`, or the units differ.
    """
    path = pathlib.Path(run)
    if path.suffix in (".npz", *PYTORCH_SUFFIXES):
        model, size = load_encdecresnet(path), ENCDECRESNET_SIZE
    else:
        weights = load_weights(path)
        model, size, trained = weights.model, None, weights.header.run.config
        own = trained["data"].get("log", 0.0) if trained else log
        if log is not None and log != own:
            raise UserError(f"{path}: the teacher was trained with data.log={own}; set `config.data.log={own}`")
    graph, variables = nnx.split(model)
    variables = place(variables)

    @jax.jit
    def predict(variables: Any, image: UInt8[Array, "batch height width 3"]) -> Prediction:
        model = nnx.merge(graph, variables)
        prediction = _predict(model, image) if size is None else _predict_at(size, model, image)
        return prediction._replace(depth=-prediction.depth) if inverted else prediction

    return lambda image: predict(variables, image)


def _predict(model: DepthNet, image: Image) -> Prediction:
    outputs = model(image)
    return Prediction(outputs.depth, outputs.features)


def _predict_at(size: tuple[int, int], model: DepthNet, image: Image) -> Prediction:
    """Predicts at the network's own input size; bilinear, with half-pixel centers and antialiasing as in Pillow."""
    height, width = image.shape[1:3]
    depth, features = _predict(model, _resize(image.astype(jnp.float32), *size))
    return Prediction(_resize(depth, height, width), _resize(features, -(-height // 2), -(-width // 2)))


def _resize(x: Float[Array, "batch _ _ channels"], height: int, width: int) -> Float[Array, "batch _ _ channels"]:
    return jax.image.resize(x, (x.shape[0], height, width, x.shape[3]), "bilinear")
