from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from mdepth_jax.models import DepthNet, build_model, load_weights, save_weights
from mdepth_jax.models.decoders import FBNetDecoder
from mdepth_jax.models.encoders import shufflenet_v2
from mdepth_jax.models.encoders.inverted_residuals import Stage, Table
from mdepth_jax.models.encoders.mobilenet_v3 import MobileNetV3Large
from mdepth_jax.models.encoders.shufflenet_v2 import ShuffleNetV2
from mdepth_jax.models.header import Header
from mdepth_jax.models.layers import Conv, ConvNorm, DepthwiseConv
from mdepth_jax.models.weights import named_tensors
from mdepth_jax.models.widths import describe, read_widths
from mdepth_jax.pruning import surgery
from mdepth_jax.pruning.channels import find_structure
from mdepth_jax.pruning.netadapt import choose_width
from mdepth_jax.pruning.resources import count_macs
from mdepth_jax.training.config import overlay
from tests.pruning.networks import build_random

# Place in the original's sequence, kernel size, stride, whether depthwise.
GOLDEN_LAYERS = (
    (0, 3, 2, False),
    (3, 1, 1, False),
    (6, 3, 2, True),
    (9, 1, 1, False),
    (12, 5, 1, True),
    (15, 1, 1, False),
)
GOLDEN_LAST = 18


class GoldenNet(nnx.Module):
    """The network of the golden file."""

    def __init__(self, channels):
        options = {"padding": "symmetric", "param_dtype": jnp.float64, "rngs": nnx.Rngs(0)}
        self.layers = nnx.List[ConvNorm]()
        width, widths = 3, iter(channels)
        for _, size, stride, depthwise in GOLDEN_LAYERS:
            if depthwise:
                conv = DepthwiseConv(width, size, stride, **options)
            else:
                conv = Conv(width, width := int(next(widths)), size, stride, **options)
            self.layers.append(ConvNorm(conv, nnx.relu))
        self.last = Conv(width, 1, bias=0.0, **options)

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.last(x)

    def named(self):
        """Variables under the names of the golden file."""
        for (place, *_), layer in zip(GOLDEN_LAYERS, self.layers, strict=True):
            yield f"{place}_weight", layer.conv.kernel
            for name, attribute in (
                ("weight", "scale"),
                ("bias", "bias"),
                ("running_mean", "mean"),
                ("running_var", "var"),
            ):
                yield f"{place + 1}_{name}", getattr(layer.norm, attribute)
        yield f"{GOLDEN_LAST}_weight", self.last.kernel
        yield f"{GOLDEN_LAST}_bias", self.last.bias


def hwio(tensor):
    return tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor


@pytest.mark.parametrize("number", range(6))
def test_golden(number, golden, x64):
    case = golden("netadapt_step")[number]
    model = GoldenNet(case["channels"])
    for name, variable in model.named():
        variable.set_value(jnp.asarray(hwio(case[f"w_{name}"])))
    model.eval()
    structure = find_structure(model, 32, 48)
    assert [group.channels for group in structure.groups] == list(case["channels"])
    index = int(case["block"])
    group, tensors = structure.groups[index], named_tensors(model)
    place = [place for place, *_, depthwise in GOLDEN_LAYERS if not depthwise][index]
    np.testing.assert_allclose(surgery.importance(group, tensors), case[f"norm2_{place}_weight"], rtol=1e-12)

    kept = surgery.keep_all(structure)

    def resource_of(width):
        shapes = surgery.pruned_shapes(
            structure, [*kept[:index], np.arange(group.channels) < width, *kept[index + 1 :]]
        )
        weights = sum(np.prod(shapes[conv.kernel]) for conv in structure.convolutions)
        return float((count_macs(structure, shapes), weights)[int(case["rtype"])])

    assert resource_of(group.channels) == case["resource_before"]
    chosen = choose_width(resource_of, group.channels, float(case["constraint"]), int(case["min_feature_size"]))
    assert chosen == (
        case["num_out_after"][[place for place, *_ in GOLDEN_LAYERS].index(place)],
        case["resource_after"],
    )
    kept[index] = surgery.keep_most_important(group, tensors, kept[index], chosen[0])
    np.testing.assert_array_equal(np.flatnonzero(kept[index]), case[f"kept_{place}_weight"])

    smaller = surgery.remove_channels(model, structure, kept)
    for name, variable in smaller.named():
        np.testing.assert_array_equal(variable[...], hwio(case[f"s_{name}"]))
    x = jnp.asarray(case["x"].transpose(0, 2, 3, 1))
    expected = case["y_after"].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(smaller(x), expected, rtol=1e-9)
    np.testing.assert_allclose(masked(model, structure, kept)(x), expected, rtol=1e-9)


def masked(model, structure, kept):
    model = nnx.clone(model)
    tensors = named_tensors(model)
    for name, mask in surgery.variable_masks(structure, kept).items():
        if isinstance(tensors[name], nnx.Param):
            tensors[name].set_value(tensors[name][...] * mask.astype(tensors[name].dtype))
    return model


class ResidualEncoder(MobileNetV3Large):
    """All kinds of residual blocks, few of each."""

    table = Table(
        stem=8,
        stages=(
            Stage(1, 8, 1, 1),
            Stage(2, 16, 2, 2),
            Stage(2, 24, 1, 2, 5, squeeze=0.25),
            Stage(2, 32, 2, 2, (3, 5), activation=nnx.hard_swish, squeeze=0.25),
            Stage(2, 40, 1, 2, block="fused", activation=nnx.silu),
        ),
        head=64,
        activation=nnx.hard_swish,
    )


def build_residual():
    rngs = nnx.Rngs(0)
    encoder = ResidualEncoder(rngs=rngs)
    return DepthNet(encoder, FBNetDecoder(encoder.widths, rngs=rngs))


def build_shuffled():
    rngs = nnx.Rngs(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shufflenet_v2, "DEPTHS", (2, 1, 2))
        encoder = ShuffleNetV2(0.5, rngs=rngs)
    return DepthNet(encoder, FBNetDecoder(encoder.widths, rngs=rngs))


def prepare(build, size=64):
    """Builds a network; returns it with its structure and a part of every group."""
    model, rng = build_random(build), np.random.default_rng(0)
    model.set_attributes(implementation="lax")
    structure = find_structure(model, size, size)
    kept = [rng.permutation(group.channels) < max(2, group.channels // 2) for group in structure.groups]
    return model, structure, kept


@partial(jax.jit, static_argnums=0)
def before_and_after_a_step(graph, params, batch_stats, image, target):
    """Predictions in training mode before one step, in evaluation mode after it, and the parameters after it."""

    def loss(params):
        model = nnx.merge(graph, params, batch_stats, copy=True)
        model.train()
        depth = model(image).depth
        return jnp.square(depth - target).mean(), (depth, nnx.state(model, nnx.BatchStat))

    gradient, (before, moved) = jax.grad(loss, has_aux=True)(params)
    updates, _ = optax.sgd(0.01).update(gradient, optax.sgd(0.01).init(params))
    params = optax.apply_updates(params, updates)
    model = nnx.merge(graph, params, moved, copy=True)
    model.eval()
    return before, model(image).depth, params


@pytest.mark.parametrize("build", [build_residual, build_shuffled])
def test_masked_and_narrower_networks_agree_before_and_after_a_step(build):
    model, structure, kept = prepare(build)
    rng = np.random.default_rng(1)
    image = jnp.asarray(rng.integers(0, 256, (4, 64, 64, 3), dtype=np.uint8))
    target = jnp.asarray(rng.normal(size=(4, 64, 64, 1)), jnp.float32)
    results = [
        before_and_after_a_step(*nnx.split(one, nnx.Param, nnx.BatchStat), image, target)
        for one in (masked(model, structure, kept), surgery.remove_channels(model, structure, kept))
    ]
    (before, after, params), (narrow_before, narrow_after, _) = results
    scale = np.abs(before).max()
    np.testing.assert_allclose(before / scale, narrow_before / scale, atol=1e-5)
    scale = np.abs(after).max()
    np.testing.assert_allclose(after / scale, narrow_after / scale, atol=1e-5)
    start, masks = named_tensors(model), surgery.variable_masks(structure, kept)
    moved = total = 0
    for path, value in params.flat_state():
        name, value = ".".join(map(str, path)), np.asarray(value[...])
        assert not value[~masks[name]].any()
        moved += (value != np.asarray(start[name][...]))[masks[name]].sum()
        total += masks[name].sum()
    assert moved > 0.5 * total


def test_a_narrower_network_is_an_ordinary_model(tmp_path):
    """Its widths are stored with its file."""
    config = overlay(model={"encoder": "mobilenet_v3_large", "width": 0.25, "heads": 0}).model
    model, structure, kept = prepare(lambda: build_model(config, rngs=nnx.Rngs(0)))
    smaller = surgery.remove_channels(model, structure, kept)
    assert read_widths(smaller) != read_widths(model)
    config.widths = describe(smaller)
    path = tmp_path / "model.safetensors"
    save_weights(path, smaller, config, Header())
    weights = load_weights(path)
    loaded, read = weights.model, weights.config
    assert read.widths == config.widths
    assert read_widths(loaded) == read_widths(smaller)
    found = named_tensors(loaded)
    for name, variable in named_tensors(smaller).items():
        np.testing.assert_array_equal(found[name], variable)


def test_the_most_important_of_those_that_are_kept(x64):
    structure = find_structure(GoldenNet((16, 32, 24, 16)), 32, 48)
    group = structure.groups[0]
    kernel = np.zeros((3, 3, 3, 16))
    kernel[0, 0, 0] = [0, 9, 1, 9, 8, 9, 9, 9, 1, 1, 1, 1, 1, 1, 1, 1]
    kept = np.ones(16, bool)
    kept[1] = False
    chosen = surgery.keep_most_important(group, {group.filters[0]: kernel}, kept, 6)
    np.testing.assert_array_equal(np.flatnonzero(chosen), [2, 3, 4, 5, 6, 7])  # among equals the first
