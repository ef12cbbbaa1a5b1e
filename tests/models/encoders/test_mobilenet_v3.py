from tests.models.encoders.golden_encoders import (
    abstract_encoder,
    check_features,
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
    whole, half = (abstract_encoder("mobilenet_v3_large", width=width).widths for width in (1.0, 0.5))
    assert all(0.3 * a <= b <= 1.01 * a for a, b in zip(whole, half, strict=True)), (whole, half)
    assert half[4] <= 0.6 * whole[4]
