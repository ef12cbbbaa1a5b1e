import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.models import count_parameters
from mdepth_jax.models.encoders import MobileNetV2
from mdepth_jax.models.pretrained.publishers import TORCHVISION
from tests.models.encoders.golden_encoders import abstract_encoder, check_features, check_training_mode
from tests.models.golden_weights import fill


@nnx.jit
def apply(encoder, image):
    return encoder(image)


def golden_encoder(seed):
    encoder = MobileNetV2(padding="symmetric", rngs=nnx.Rngs(0))
    variables = TORCHVISION.variables(encoder)
    fill({name.removeprefix("features."): variable for name, variable in variables.items()}, seed, gain=np.sqrt(2))
    encoder.eval()
    return encoder


def test_features_golden(golden, x64):
    """At the odd size, whose maps have even and odd sizes, too."""
    check_features("mobilenet_v2", golden("encoder_mobilenetv2_100")[1])


def test_training_mode_golden(golden, x64):
    check_training_mode("mobilenet_v2", golden("encoder_mobilenetv2_100")[2])


@pytest.mark.parametrize("implementation", ["lax", "shifted"])
def test_features_of_torchvision_golden(golden, implementation):
    cases = golden("encoder_mobilenetv2_torchvision")
    for case in cases if implementation == "shifted" else cases[1:]:
        encoder = golden_encoder(int(case["weight_seed"]))
        encoder.set_attributes(implementation=implementation)
        assert count_parameters(encoder) == case["n_params_features"] == 2_223_872
        features = apply(encoder, jnp.asarray(case["x"].transpose(0, 2, 3, 1)))
        assert tuple(feature.shape[-1] for feature in features) == encoder.widths
        for index, feature in enumerate(features):
            reference = case[f"f{index}"].transpose(0, 2, 3, 1)
            np.testing.assert_allclose(feature, reference, rtol=0, atol=1e-4 * np.abs(reference).max())


def test_width_scales_every_layer_but_the_head():
    assert abstract_encoder("mobilenet_v2", width=0.5).widths == (8, 16, 16, 48, 160, 1280)
    assert abstract_encoder("mobilenet_v2", width=1.4).widths == (24, 32, 48, 136, 448, 1792)
