from tests.models.encoders.golden_encoders import check_features


def test_features_golden(golden, x64):
    """At the odd size, whose maps have even and odd sizes, too."""
    check_features("mnasnet", golden("encoder_mnasnet_100")[1])
