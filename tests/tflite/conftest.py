import pytest

from mdepth_jax.export.calibration import rendered_images
from mdepth_jax.tflite.conversion import convert
from tests.tflite.networks import SIZE, make_network


@pytest.fixture(scope="module")
def images():
    return rendered_images(*SIZE, 6)


@pytest.fixture(scope="module")
def network():
    """A network that quantises well without training."""
    return make_network(encoder="mobilenet_v1", decoder="nnconv5")


@pytest.fixture(scope="module")
def content(network):
    return convert(network, *SIZE)
