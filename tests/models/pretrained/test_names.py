"""The tables of names against those of the real networks.

`published_names.npz` holds every tensor of timm 1.0.31, torchvision 0.29.1 and FastDepth as "name shape", those of the
classifier and the counters of BatchNorm included.
"""

import jax
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.errors import UserError
from mdepth_jax.models import DepthNet, load_pretrained
from mdepth_jax.models.encoders import ENCODERS
from mdepth_jax.models.pretrained.publishers import PYTORCH_SOURCES
from tests.conftest import GOLDEN

SOURCES = {source.name: source for source in PYTORCH_SOURCES}
NETWORKS = [
    f"{source.name}/{name}"
    for source in PYTORCH_SOURCES
    for name, encoder in ENCODERS.items()
    if encoder in source.rules
]


@pytest.fixture(scope="module")
def published():
    """Shapes by tensor by network."""
    with np.load(GOLDEN / "published_names.npz") as file:
        networks = {network: dict(line.split(" ") for line in lines) for network, lines in file.items()}
    return {
        network: {name: tuple(map(int, filter(None, shape.split(",")))) for name, shape in shapes.items()}
        for network, shapes in networks.items()
    }


def abstract_model(network):
    source, name = network.split("/")
    preprocessing, epsilon = SOURCES[source].rules[ENCODERS[name]].recipes[0]
    model = nnx.eval_shape(lambda: DepthNet(ENCODERS[name](rngs=nnx.Rngs(0)), None, preprocessing))
    model.set_attributes(epsilon=epsilon)
    return SOURCES[source], model


def test_every_published_network_has_a_rule(published):
    assert sorted(NETWORKS) == sorted(published)


def save(folder, shapes):
    """A file of numbered tensors, as of a network that was trained on several devices."""
    path = folder / "weights.npz"
    tensors = {f"module.{name}": np.full(shape, i, np.float16) for i, (name, shape) in enumerate(shapes.items())}
    np.savez(path, **tensors)
    return path


@pytest.mark.parametrize("network", NETWORKS)
def test_a_published_file_fills_the_encoder(tmp_path, published, network):
    """Every tensor holds its number in the file, which tells where it went; in half precision, as some are stored."""
    source, model = abstract_model(network)
    numbers = {name: number for number, name in enumerate(published[network])}
    path = save(tmp_path, published[network])
    load_pretrained(model, path)
    variables = {name: np.asarray(variable) for name, variable in source.variables(model.encoder).items()}
    assert {name: value.min() for name, value in variables.items()} == {
        name: number
        for name, number in numbers.items()
        if not name.startswith(source.left_out) and not name.endswith("num_batches_tracked")
    }
    assert {value.dtype for value in variables.values()} == {np.dtype(np.float32)}
    assert len(variables) == len(jax.tree.leaves(nnx.state(model)))
    assert sum(name.startswith(source.left_out) for name in numbers) == 2


@pytest.mark.parametrize("other", ["timm/mobilenet_v3_large", "torchvision/mobilenet_v2", "torchvision/shufflenet_v2"])
def test_a_file_of_another_network_is_refused(tmp_path, published, other):
    _, model = abstract_model("timm/mnasnet")
    with pytest.raises(
        UserError, match=r"weights\.npz: tensor \S+ is missing \(\d+ such\); use weights of the same net"
    ):
        load_pretrained(model, save(tmp_path, published[other]))
