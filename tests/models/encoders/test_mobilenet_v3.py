from tests.models.encoders.golden_encoders import (
    check_features,
    check_half_width,
    check_tensorflow_variant,
    check_training_mode,
)


def test_features_golden(golden, x64):
    """At the odd size, whose maps have even and odd sizes, too."""
    check_features("mobilenet_v3_large", golden("encoder_mobilenetv3_large_100")[1])


def test_tensorflow_variant_golden(golden, x64):
    """At the odd size: `SAME` pads its even and its odd maps differently."""
    check_tensorflow_variant("mobilenet_v3_large", golden("encoder_tf_mobilenetv3_large_100")[1])


def test_training_mode_golden(golden, x64):
    check_training_mode("mobilenet_v3_large", golden("encoder_mobilenetv3_large_100")[2])


def test_width_halves_the_skips():
    check_half_width("mobilenet_v3_large")
