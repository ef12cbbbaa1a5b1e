"""Comparison of encoders with the original networks: features, blocks, training mode and gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from mdepth_jax.models import count_parameters
from mdepth_jax.models.encoders import ENCODERS
from mdepth_jax.models.pretrained.publishers import FASTDEPTH, TIMM, TORCHVISION
from tests.models.golden_weights import fill

PUBLISHERS = (FASTDEPTH, TIMM, TORCHVISION)  # the first that has an encoder
STRIDES = ("s2", "s4", "s8", "s16", "s32")
NOT_A_BLOCK = ("conv_stem", "maxpool")


def abstract_encoder(name, padding="SAME", dtype=jnp.float32, width=1.0):
    return nnx.eval_shape(lambda: ENCODERS[name](width, padding, param_dtype=dtype, rngs=nnx.Rngs(0)))


def precision(name):
    """Double, but for the network of wide dense convolutions: in double precision they take XLA minutes."""
    return (jnp.float32, 1e-5) if name == "efficientnet_es" else (jnp.float64, 1e-6)


def golden_encoder(name, case, padding="symmetric", epsilon=1e-5):
    """An encoder with the golden weights, and its variables under the golden names."""
    dtype, _ = precision(name)
    encoder = abstract_encoder(name, padding, dtype)
    publisher = next(publisher for publisher in PUBLISHERS if type(encoder) in publisher.rules)
    variables = publisher.variables(encoder)
    fill(variables, int(case["weight_seed"]), float(case["gain"]), dtype)
    encoder.set_attributes(epsilon=epsilon)
    return encoder, variables


def run(encoder, image):
    """The features, and the outputs of all modules by path."""
    features, captured = nnx.capture(encoder, nnx.Intermediate, method_outputs=nnx.Intermediate)(image)
    return features, {path[:-1]: variable.get_value()[0] for path, variable in captured.flat_state()}


def block_outputs(outputs):
    """Those of the stem and of every block after it, in order."""
    blocks = [path for path in outputs if all(isinstance(part, int) for part in path[1:]) and path[1:]]
    return [outputs[path] for path in [("stem",), *sorted(blocks), ("last",)] if path in outputs]


def image_of(name, case):
    return jnp.asarray(case["x"].transpose(0, 2, 3, 1), precision(name)[0])


def assert_samples(value, golden, tolerance):
    """Compares an array in PyTorch's order with its golden shape, moments and samples."""
    shape, moments, index, samples = golden
    assert value.shape == tuple(shape)
    close = {"rtol": 0, "atol": tolerance * np.abs(value).max()}
    np.testing.assert_allclose([value.mean(), value.std()], moments, **close)
    np.testing.assert_allclose(value.ravel()[index], samples, **close)


def golden_of(case, key):
    return [case[f"{key}_{part}"] for part in ("shape", "mean_std", "idx", "val")]


def nchw(value):
    return np.asarray(value).transpose(0, 3, 1, 2)


def assert_features(name, case, features, outputs):
    tolerance = precision(name)[1]
    *skips, head = features
    if name == "mobilenet_v1":  # its last block is both the deepest map and the head
        skips[-1] = head
    else:
        assert_samples(nchw(head), golden_of(case, "head_nopool" if "head_nopool_val" in case else "head"), tolerance)
    for key, feature in zip(STRIDES, skips, strict=True):
        assert_samples(nchw(feature), golden_of(case, key), tolerance)
    kept = [index for index, block in enumerate(case["blk_names"]) if block not in NOT_A_BLOCK]
    blocks = zip(*(golden[kept] for golden in golden_of(case, "blk")), strict=True)
    for block, golden in zip(block_outputs(outputs), blocks, strict=True):
        assert_samples(nchw(block), golden, tolerance)


@nnx.jit
def evaluate(encoder, image):
    return run(encoder, image)


def check_features(name, case):
    """Compares all features and block outputs in evaluation mode, with the padding of PyTorch."""
    encoder, _ = golden_encoder(name, case)
    assert count_parameters(encoder) == case["n_params"]
    encoder.eval()
    features, outputs = evaluate(encoder, image_of(name, case))
    assert tuple(feature.shape[-1] for feature in features) == encoder.widths
    assert_features(name, case, features, outputs)


def check_tensorflow_variant(name, case):
    """Compares all features and block outputs in evaluation mode, with the padding and the epsilon of TensorFlow."""
    encoder, _ = golden_encoder(name, case, "SAME", epsilon=1e-3)
    encoder.eval()
    assert_features(name, case, *evaluate(encoder, image_of(name, case)))


def check_training_mode(name, case):
    """Compares loss, features, gradients and running statistics of one step in training mode."""
    encoder, variables = golden_encoder(name, case)
    encoder.train()
    before = {key: np.asarray(variable[...]) for key, variable in variables.items()}
    image, weights = image_of(name, case), jnp.asarray(case["r"].transpose(0, 2, 3, 1), jnp.float64)
    graph, parameters, statistics = nnx.split(encoder, nnx.Param, nnx.BatchStat)

    @jax.jit
    @partial(jax.grad, has_aux=True)
    def gradient(parameters):
        encoder = nnx.merge(graph, parameters, statistics, copy=True)
        features, outputs = run(encoder, image)
        head = features[-1]
        if case["head_shape"][2] == 1:  # the original pools before its head
            inner = outputs.get(("last",), features[-2])
            head = encoder.head(inner.mean((1, 2), keepdims=True))
        loss = (head * weights).sum()
        return loss, (loss, features, head, nnx.state(encoder, nnx.BatchStat))

    gradients, (loss, features, head, statistics) = gradient(parameters)
    np.testing.assert_allclose(loss, case["loss"], rtol=1e-6)
    assert_samples(nchw(head), golden_of(case, "head"), 1e-6)
    for key, feature in zip(STRIDES, features, strict=False):
        assert_samples(nchw(feature), golden_of(case, key), 1e-6)

    assert all(np.isfinite(leaf).all() and np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradients))
    nnx.update(encoder, gradients, statistics)  # from here on the variables hold gradients and new statistics
    for place in ("first", "middle", "last"):
        kernel = variables[str(case[f"grad_{place}_name"])]
        assert_samples(np.asarray(kernel).transpose(3, 2, 0, 1), golden_of(case, f"grad_{place}"), 1e-6)
    for place, feature in (("first", features[0]), ("last", features[-1])):
        norm, count = str(case[f"bn_{place}_name"]), feature[..., 0].size
        mean, var = (f"{norm}.running_{statistic}" for statistic in ("mean", "var"))
        assert_samples(np.asarray(variables[mean]), golden_of(case, f"bn_{place}_running_mean_after"), 1e-6)
        # PyTorch keeps the unbiased variance, ours is the biased one.
        batch_var = (np.asarray(variables[var]) - 0.9 * before[var]) / 0.1 * count / (count - 1)
        unbiased = 0.9 * before[var] + 0.1 * batch_var
        assert_samples(unbiased, golden_of(case, f"bn_{place}_running_var_after"), 1e-6)


def check_half_width(name):
    """Compares the numbers of channels at half the width."""
    full, half = (abstract_encoder(name, width=width).widths for width in (1.0, 0.5))
    assert all(0.3 * a <= b <= 1.01 * a for a, b in zip(full, half, strict=True)), (full, half)
    assert half[4] <= 0.6 * full[4]
