"""Abstract networks: nothing is computed or compiled."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.models import DECODERS, ENCODERS, build_model, count_macs, count_parameters, default_config
from mdepth_jax.models.layers import Conv, ConvNorm
from mdepth_jax.models.widths import narrow
from mdepth_jax.pruning.channels import OUTPUT, find_structure
from mdepth_jax.pruning.netadapt import measure_smallest
from mdepth_jax.pruning.resources import make_resource
from mdepth_jax.pruning.surgery import pruned_shapes

HEIGHT, WIDTH = 64, 96
NETWORKS = [
    *({"encoder": encoder} for encoder in ENCODERS if encoder != "resnet50"),
    {"encoder": "resnet50", "decoder": "redweb"},
    {"encoder": "shufflenet_v2", "decoder": "nnconv5"},
    {"fusion": "add", "last_layer": "block"},
]
assert {"fbnet", *(network.get("decoder", "fbnet") for network in NETWORKS)} == set(DECODERS)


def build(**changes):
    config = default_config()
    config.update({"heads": 0, **changes})
    model = nnx.eval_shape(lambda: build_model(config, rngs=nnx.Rngs(0)))
    model.eval()
    return model


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: "-".join(network.values()))
def test_any_channels_of_the_groups_can_go(network):
    """Built with a third of every group, the network computes, and costs what was predicted."""
    model = build(**network)
    structure = find_structure(model, HEIGHT, WIDTH)
    kept = [np.arange(group.channels) % 3 == 0 for group in structure.groups]
    shapes = pruned_shapes(structure, kept)
    widths = []
    for conv in structure.convolutions:
        *_, inputs, outputs = shapes[conv.kernel]
        widths.append(f"{conv.kernel.removesuffix('.kernel')} {outputs if conv.depthwise else inputs} {outputs}")

    def make_narrow(model):
        narrow(model, widths)
        return model

    smaller = nnx.eval_shape(make_narrow, model)
    assert count_parameters(smaller) == make_resource("params", structure).measure(shapes)
    assert count_macs(smaller, HEIGHT, WIDTH) == make_resource("macs", structure).measure(shapes)
    # A shuffle holds the outputs of its units, so that less of ShuffleNetV2 can go.
    reachable = 0.4 if network.get("encoder") == "shufflenet_v2" else 0.1
    parameters = make_resource("params", structure)
    assert measure_smallest(structure, parameters, 8) < reachable * parameters.measure(structure.shapes)


def test_the_groups_of_mobilenet_v2():
    """Counted by hand: stem, 16 expansions, 7 chains of sums, head; 4 blocks of the decoder with 2 each."""
    structure = find_structure(build(), HEIGHT, WIDTH)
    groups = {group.name: group for group in structure.groups}
    assert len(groups) == len(structure.groups) == 1 + 16 + 7 + 1 + 4 * 2
    chain = groups["encoder.blocks.3.project.conv"]
    assert chain.filters == tuple(f"encoder.blocks.{block}.project.conv.kernel" for block in (3, 4, 5))
    skip = chain.positions["decoder.blocks.2.expand.conv.kernel", OUTPUT - 1]
    np.testing.assert_array_equal(skip[:, 0], np.arange(32, 64))  # after the 32 channels of the block before
    assert not any("predict.kernel" in group.filters for group in structure.groups)


def test_a_repeated_channel_has_two_places():
    """The cheap half of a ghost module follows the other half."""
    structure = find_structure(build(encoder="ghostnet"), HEIGHT, WIDTH)
    group = next(group for group in structure.groups if group.name == "encoder.stages.3.0.expand.primary.conv")
    reader = group.positions["encoder.stages.3.0.project.primary.conv.kernel", OUTPUT - 1]
    np.testing.assert_array_equal(reader, np.stack([np.arange(36), np.arange(36) + 36], axis=1))


class Unknown(nnx.Module):
    """Sorts the channels of its middle, which no rule covers."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.layers = nnx.List([ConvNorm(Conv(3, 16, rngs=rngs)), Conv(16, 16, rngs=rngs), Conv(16, 1, rngs=rngs)])

    def __call__(self, image):
        first, second, third = self.layers
        return third(second(jnp.sort(first(image), axis=-1)))


def test_what_is_not_understood_stays():
    structure = find_structure(nnx.eval_shape(Unknown), 8, 8)
    assert [group.name for group in structure.groups] == ["layers.1"]
