import jax.numpy as jnp
import numpy as np
import pytest

from mdepth_jax.inference.predictor import (
    Predictor,
    compile_predictor,
    predict_pictures,
    prepare_picture,
    recover_depth,
)
from tests.inference import saved


@pytest.fixture
def predictor():
    """Predicts the red channel, and keeps the shape of every batch."""
    shapes = []

    def predict(images):
        shapes.append(images.shape)
        return images[..., 0].astype(np.float32)

    return Predictor(predict, 4, 6, 3), shapes


def test_batches_have_one_shape_and_keep_the_order(predictor):
    predictor, shapes = predictor
    images = [np.full((5 + number, 9, 3), 10 * number, np.uint8) for number in range(7)]
    pictures = [prepare_picture(str(number), image, predictor) for number, image in enumerate(images)]
    result = list(predict_pictures(predictor, pictures))
    assert [prediction.picture.name for prediction in result] == [str(number) for number in range(7)]
    for number, prediction in enumerate(result):
        assert prediction.picture.size == (5 + number, 9)
        np.testing.assert_array_equal(prediction.values, np.full((4, 6), 10 * number))
    assert shapes == [(3, 4, 6, 3)] * 3
    assert list(predict_pictures(predictor, [])) == []


def test_the_original_is_kept_if_asked(predictor):
    image = np.arange(5 * 9 * 3, dtype=np.uint8).reshape(5, 9, 3)
    assert prepare_picture("a", image, predictor[0]).image is None
    np.testing.assert_array_equal(prepare_picture("a", image, predictor[0], keep=True).image, image)


def test_a_network_becomes_one_program():
    model, _ = saved.network()
    predictor = compile_predictor(model, 32, 64, batch_size=2)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 64, 3), dtype=np.uint8)
    expected = np.asarray(model(jnp.asarray(images)).depth)[..., 0]
    np.testing.assert_allclose(predictor.run(images), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    with pytest.raises(TypeError):
        predictor.run(images[:1])


def test_depth_of_logarithms():
    values = np.float32([[0.0, 1.0], [2.0, -2.0]])
    assert recover_depth(values, 0.0) is values
    depth = recover_depth(values, 2.0)
    np.testing.assert_allclose(depth, np.exp(values / 2))
    assert depth.dtype == np.float32
