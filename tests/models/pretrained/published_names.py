"""Names and shapes of the tensors of the published networks, and files of them.

`published_names.npz` holds every tensor of timm 1.0.31, torchvision 0.29.1 and FastDepth as "name shape", those of the
classifier and the counters of BatchNorm included.
"""

import jax
import numpy as np
from flax import nnx

from mdepth_jax.models import DepthNet, load_pretrained
from mdepth_jax.models.encoders import ENCODERS
from tests.conftest import GOLDEN


def load_shapes():
    """Shapes by tensor by network, such as "timm/mnasnet"."""
    with np.load(GOLDEN / "published_names.npz") as file:
        networks = {network: dict(line.split(" ") for line in lines) for network, lines in file.items()}
    return {
        network: {name: tuple(map(int, filter(None, shape.split(",")))) for name, shape in shapes.items()}
        for network, shapes in networks.items()
    }


def encoders_of(publisher):
    return [name for name, encoder in ENCODERS.items() if encoder in publisher.rules]


def abstract_model(publisher, name):
    """A model without values that scales and normalizes as the publisher's weights need it."""
    preprocessing, epsilon = publisher.rules[ENCODERS[name]].recipes[0]
    model = nnx.eval_shape(lambda: DepthNet(ENCODERS[name](rngs=nnx.Rngs(0)), None, preprocessing))
    model.set_attributes(epsilon=epsilon)
    return model


def save(folder, shapes):
    """A file of numbered tensors, as of a network that was trained on several devices."""
    path = folder / "weights.npz"
    tensors = {f"module.{name}": np.full(shape, i, np.float16) for i, (name, shape) in enumerate(shapes.items())}
    np.savez(path, **tensors)
    return path


def check_published_file(publisher, name, folder):
    """Loads a published file whose tensors hold their number, which shows where each went.

    It is in half precision, as some files are.
    """
    shapes = load_shapes()[f"{publisher.name}/{name}"]
    model = abstract_model(publisher, name)
    load_pretrained(model, save(folder, shapes))
    variables = {name: np.asarray(variable) for name, variable in publisher.variables(model.encoder).items()}
    assert {name: value.min() for name, value in variables.items()} == {
        name: number
        for number, name in enumerate(shapes)
        if not name.startswith(publisher.left_out) and not name.endswith("num_batches_tracked")
    }
    assert {value.dtype for value in variables.values()} == {np.dtype(np.float32)}
    assert len(variables) == len(jax.tree.leaves(nnx.state(model)))
    assert sum(name.startswith(publisher.left_out) for name in shapes) == 2
