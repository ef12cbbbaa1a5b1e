from tests.models.encoders.golden_encoders import check_features, check_half_width, check_training_mode


def test_features_golden(golden, x64):
    """At the odd size, whose maps have even and odd sizes, too."""
    check_features("ghostnet", golden("encoder_ghostnet_100")[1])


def test_training_mode_golden(golden, x64):
    check_training_mode("ghostnet", golden("encoder_ghostnet_100")[2])


def test_width_halves_the_skips():
    check_half_width("ghostnet")
