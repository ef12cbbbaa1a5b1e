from tests.models.encoders.golden_encoders import abstract_encoder, check_features, check_training_mode


def test_features_golden(golden, x64):
    """At the odd size, whose maps have even and odd sizes, too."""
    check_features("ghostnet", golden("encoder_ghostnet_100")[1])


def test_training_mode_golden(golden, x64):
    check_training_mode("ghostnet", golden("encoder_ghostnet_100")[2])


def test_width_halves_the_skips():
    whole, half = (abstract_encoder("ghostnet", width=width).widths for width in (1.0, 0.5))
    assert all(0.3 * a <= b <= 1.01 * a for a, b in zip(whole, half, strict=True)), (whole, half)
    assert half[4] <= 0.6 * whole[4]
