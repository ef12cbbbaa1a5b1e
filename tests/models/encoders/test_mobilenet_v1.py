from tests.models.encoders.golden_encoders import check_features, check_half_width


def test_features_golden(golden, x64):
    """At the odd size, whose maps have even and odd sizes, too."""
    check_features("mobilenet_v1", golden("encoder_fastdepth_mobilenet")[1])


def test_width_halves_the_skips():
    check_half_width("mobilenet_v1")
