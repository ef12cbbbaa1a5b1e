from dataclasses import astuple

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import stats

from mdepth_jax.errors import UserError
from mdepth_jax.export import verification
from mdepth_jax.export.calibration import ImageSet
from mdepth_jax.export.verification import (
    Agreement,
    check_agreement,
    check_whdr,
    compare,
    compare_layers,
    find_worst_layers,
    predict,
    verify,
)
from mdepth_jax.tflite.interpreter import DepthInterpreter
from mdepth_jax.tflite.quantization import LayerReport
from mdepth_jax.training.config import overlay


def test_agreement_against_loops_and_scipy():
    random = np.random.default_rng(0)
    reference = random.normal(size=(3, 4, 5, 1)).astype(np.float32)
    depth = reference + random.normal(0, 0.1, reference.shape).astype(np.float32)
    depth[0, 0, :3] = 0.5  # ties
    result = compare(reference, depth)
    largest = max(abs(a - b) for a, b in zip(reference.ravel(), depth.ravel(), strict=True))
    assert result.error == pytest.approx(largest / (reference.max() - reference.min()))
    expected = [stats.spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(reference, depth, strict=True)]
    assert result.spearman == pytest.approx(np.mean(expected))


def test_extreme_predictions():
    reference = np.arange(12, dtype=np.float32).reshape(1, 3, 4, 1)
    assert astuple(compare(reference, reference)) == (0, 1)
    assert compare(reference, -reference).spearman == pytest.approx(-1)
    assert compare(reference, np.ones_like(reference)).spearman == 0
    for useless in (np.ones_like(reference), np.full_like(reference, np.nan)):
        with pytest.raises(UserError, match="the same depth everywhere, or values that are not finite"):
            compare(useless, reference)


@pytest.mark.parametrize(
    ("quantize", "error", "spearman", "message"),
    [
        ("none", 1.1e-4, 1.0, "differs from the network by 1.10e-04"),
        ("float16", 1.1e-3, 1.0, "differs from the network by 1.10e-03"),
        ("none", np.nan, 1.0, "differs"),
        ("int8", 0.5, 0.98, r"rank correlation 0\.9800, less than 0\.99"),
        ("dynamic", 0.5, np.nan, "rank correlation"),
    ],
)
def test_limits(quantize, error, spearman, message):
    check_agreement(quantize, Agreement(0.9e-4, 0.991))
    with pytest.raises(UserError, match=message):
        check_agreement(quantize, Agreement(error, spearman))


def test_a_wrong_order_names_the_worst_layers():
    with pytest.raises(
        UserError, match=r"0\.9800, less than 0\.99, most noise is added in encoder/stem, add; train the network"
    ):
        check_agreement("int8", Agreement(0.5, 0.98), ["encoder/stem", "add"])


def test_limit_of_whdr():
    check_whdr(0.2, 0.2049)
    check_whdr(0.2, 0.1)
    with pytest.raises(UserError, match=r"WHDR is 0\.2060, the network's 0\.2000"):
        check_whdr(0.2, 0.206)


def test_predictions_are_those_of_the_network(network, images):
    expected = nnx.jit(lambda model, batch: model(batch).depth)(network, jnp.asarray(np.stack(images[:3])))
    np.testing.assert_allclose(predict(network, images[:3]), expected, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def open_file(tmp_path_factory):
    def write(content):
        path = tmp_path_factory.mktemp("file") / "m.tflite"
        path.write_bytes(content)
        return DepthInterpreter(path)

    return write


def test_verification_of_int8(network, content, int8, images, open_file, monkeypatch):
    """Compared with the float32 file; the operators of this network are the same in int8."""
    monkeypatch.setattr(verification, "convert", lambda model, height, width, operators_for: content)
    layers = compare_layers(network, int8, "int8", images)
    pictures, config = ImageSet(images, "scenes"), overlay()
    result = verify(network, open_file(int8), pictures, quantize="int8", layers=layers, config=config)
    assert (result.images, result.origin, result.pairs) == (len(images), "scenes", 0)
    assert result.agreement == compare(predict(network, images), open_file(int8)(np.stack(images)))
    assert result.max_activation == max(layer.max_abs for layer in layers) > 100
    assert len(result.describe()) == 1
    monkeypatch.setattr(verification, "MIN_SPEARMAN", 1.1)
    with pytest.raises(UserError, match=r"noise is added in ((encoder|decoder)/[^,]+, ){4}.*; train the network"):
        verify(network, open_file(int8), pictures, quantize="int8", layers=layers, config=config)


def test_layers_of_other_kinds_have_ranges_alone(network, content, images):
    layers = compare_layers(network, content, "none", images)
    assert layers[0].max_abs == max(np.max(images[:4]) - 127.5, 127.5 - np.min(images[:4]))
    assert {layer.noise for layer in layers} == {0}


def test_worst_layers():
    layers = [LayerReport(str(number), 0.0, 1.0, 0.5, number / 10) for number in (3, 1, 7, 5, 2, 6, 4)]
    assert [layer.layer for layer in find_worst_layers(layers)] == ["7", "6", "5", "4", "3"]
