"""The published teacher, block by block and whole."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.errors import UserError
from mdepth_jax.models import build_model, count_parameters, default_config
from mdepth_jax.models.decoders.redweb import FeatureFusion, ResidualConv
from mdepth_jax.models.layers import upsample_bilinear_aligned
from mdepth_jax.models.pretrained.naming import named_variables
from mdepth_jax.models.pretrained.torchvision import resnet50
from mdepth_jax.models.teachers import load_encdecresnet, load_teacher
from tests.models.golden_weights import draw

MEAN, DEVIATION = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


@nnx.jit
def apply(module, *inputs):
    return module(*inputs)


def nhwc(array):
    return jnp.asarray(array.transpose(0, 2, 3, 1))


def fill_from(case, block):
    for name, variable in named_variables(block.named_layers("p")).items():
        tensor = case[name.replace(".", "_")]
        assert variable.ndim == tensor.ndim
        variable[...] = jnp.asarray(tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor)
    block.eval()


def test_blocks_golden(golden, x64):
    residual, fusion, _ = golden("teacher_encdecresnet")
    options = {"param_dtype": jnp.float64, "rngs": nnx.Rngs(0)}
    block = ResidualConv(6, **options)
    fill_from(residual, block)
    np.testing.assert_allclose(apply(block, nhwc(residual["x"])), nhwc(residual["y"]), rtol=1e-9, atol=1e-12)
    block = FeatureFusion(5, 7, 6, **options)
    fill_from(fusion, block)
    y = apply(block, nhwc(fusion["left"]), nhwc(fusion["up"]))
    np.testing.assert_allclose(y, nhwc(fusion["y"]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 1)])
def test_aligned_upsampling_against_interpolation(size):
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    expected = x
    for axis in (1, 2):
        positions = np.linspace(0, x.shape[axis] - 1, 2 * x.shape[axis])
        expected = np.apply_along_axis(
            lambda line, p=positions: np.interp(p, np.arange(len(line)), line), axis, expected
        )
    np.testing.assert_allclose(upsample_bilinear_aligned(jnp.asarray(x)), expected, rtol=1e-5, atol=1e-6)


def published_shapes():
    """Every tensor of the checkpoint with its shape in PyTorch's layout."""
    config = default_config()
    config.update(encoder="resnet50", decoder="redweb", heads=0)
    model = nnx.eval_shape(lambda: build_model(config, rngs=nnx.Rngs(0)))
    layers = [(f"resnet_model.{name}", layer) for name, layer in resnet50(model.encoder)]
    return {
        name: tuple(variable.shape[axis] for axis in (3, 2, 0, 1)) if len(variable.shape) == 4 else variable.shape
        for name, variable in named_variables([*layers, *model.decoder.named_layers()]).items()
    }


def test_whole_network_golden(golden, tmp_path):
    case = golden("teacher_encdecresnet")[2]
    path = tmp_path / "encdecresnet.npz"
    seed = int(case["weight_seed"])
    np.savez(path, **{f"module.{name}": draw(name, shape, seed, gain=1) for name, shape in published_shapes().items()})
    model = load_encdecresnet(path)
    assert count_parameters(model) == case["n_params"] == 53_158_977

    normalized = case["x"].transpose(0, 2, 3, 1)  # channels B, G, R with the figures of R, G, B
    image = (normalized * DEVIATION + MEAN)[..., ::-1] * 255
    outputs = apply(model, jnp.asarray(image))
    reference = case["y"].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(outputs.depth, reference, rtol=0, atol=1e-3 * np.abs(reference).max())
    features = case["d1"].transpose(0, 2, 3, 1)
    assert outputs.features.shape == tuple(case["d1_shape"][[0, 2, 3, 1]])
    np.testing.assert_allclose(outputs.features[..., :4], features, rtol=0, atol=1e-3 * np.abs(features).max())


def test_another_checkpoint_is_refused(tmp_path):
    path = tmp_path / "other.npz"
    np.savez(path, **{"module.feafu1.bn_trans_up.bias": np.zeros(128, np.float32)})
    with pytest.raises(UserError, match=r"other\.npz: tensor ada_out\.bn1\.bias is missing"):
        load_teacher(str(path))


def test_a_pytorch_checkpoint_is_read_as_one(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    path = tmp_path / "checkpoint.pth"
    path.write_bytes(b"PK")
    with pytest.raises(UserError, match=r"checkpoint\.pth: PyTorch, which reads such files, is missing"):
        load_teacher(str(path))
