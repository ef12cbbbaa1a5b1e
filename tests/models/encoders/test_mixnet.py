import pytest

from tests.models.encoders.golden_encoders import check_features, check_tensorflow_variant


@pytest.mark.parametrize(("name", "file"), [("mixnet_m", "encoder_mixnet_m"), ("mixnet_s", "encoder_mixnet_s")])
def test_features_golden(golden, x64, name, file):
    """At the odd size, whose maps have even and odd sizes, too."""
    check_features(name, golden(file)[1])


@pytest.mark.parametrize(("name", "file"), [("mixnet_m", "encoder_tf_mixnet_m"), ("mixnet_s", "encoder_tf_mixnet_s")])
def test_tensorflow_variant_golden(golden, x64, name, file):
    """At the odd size: `SAME` pads its even and its odd maps differently."""
    check_tensorflow_variant(name, golden(file)[1])
