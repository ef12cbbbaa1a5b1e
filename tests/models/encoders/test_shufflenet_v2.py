import jax.numpy as jnp
import numpy as np
import pytest

from mdepth_jax.models.encoders.shufflenet_v2 import shuffle_channels
from tests.models.encoders.golden_encoders import abstract_encoder, check_features, check_half_width


def test_features_golden(golden, x64):
    """At the odd size, whose maps have even and odd sizes, too."""
    check_features("shufflenet_v2", golden("encoder_shufflenet_v2_x1_0")[1])


def test_the_table_has_four_widths():
    with pytest.raises(ValueError, match=r"0\.5, 1\.0, 1\.5, 2\.0 only"):
        abstract_encoder("shufflenet_v2", width=0.75)


def test_shuffled_channels_alternate():
    a, b = jnp.arange(4.0).reshape(1, 1, 1, 4), 10 + jnp.arange(4.0).reshape(1, 1, 1, 4)
    np.testing.assert_array_equal(shuffle_channels(a, b).ravel(), [0, 10, 1, 11, 2, 12, 3, 13])


def test_width_halves_the_skips():
    check_half_width("shufflenet_v2")
