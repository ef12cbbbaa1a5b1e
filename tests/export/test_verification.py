import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import stats

from mdepth_jax.data.images import read_image
from mdepth_jax.errors import UserError
from mdepth_jax.export.verification import Agreement, check, check_whdr, compare, predict, write_golden


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
    assert compare(reference, reference) == (0, 1)
    assert compare(reference, -reference).spearman == pytest.approx(-1)
    assert compare(reference, np.ones_like(reference)).spearman == 0
    for useless in (np.ones_like(reference), np.full_like(reference, np.nan)):
        with pytest.raises(UserError, match="the same depth everywhere, or one that is not finite"):
            compare(useless, reference)


@pytest.mark.parametrize(
    ("kind", "error", "spearman", "message"),
    [
        ("none", 1.1e-4, 1.0, "differs from the network by 1.10e-04"),
        ("float16", 1.1e-3, 1.0, "differs from the network by 1.10e-03"),
        ("none", np.nan, 1.0, "differs"),
        ("int8", 0.5, 0.98, r"rank correlation 0\.9800, less than 0\.99"),
        ("dynamic", 0.5, np.nan, "rank correlation"),
    ],
)
def test_gates(kind, error, spearman, message):
    check(kind, Agreement(0.9e-4, 0.991))
    with pytest.raises(UserError, match=message):
        check(kind, Agreement(error, spearman))


def test_a_lost_order_names_its_layers():
    with pytest.raises(UserError, match=r"0\.9800, less than 0\.99, lost most in encoder/stem, add; train the network"):
        check("int8", Agreement(0.5, 0.98), ["encoder/stem", "add"])


def test_gate_of_pairs():
    check_whdr(0.2, 0.2049)
    check_whdr(0.2, 0.1)
    with pytest.raises(UserError, match=r"WHDR is 0\.2060, the network's 0\.2000"):
        check_whdr(0.2, 0.206)


def test_predictions_are_those_of_the_network(network, images):
    expected = nnx.jit(lambda model, batch: model(batch).depth)(network, jnp.asarray(np.stack(images[:3])))
    np.testing.assert_allclose(predict(network, images[:3]), expected, rtol=1e-4, atol=1e-5)


def test_golden_pair(tmp_path, images):
    depth = np.random.default_rng(0).normal(size=(1, *images[0].shape[:2], 1)).astype(np.float32)
    picture, values = write_golden(tmp_path / "a.b.tflite", images[0], depth)
    assert (picture.name, values.name) == ("a.b.golden.png", "a.b.golden.f32")
    np.testing.assert_array_equal(read_image(picture), images[0])
    np.testing.assert_array_equal(np.fromfile(values, "<f4").reshape(depth.shape), depth)
