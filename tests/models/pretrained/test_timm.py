import pytest

from mdepth_jax.models.pretrained.timm import TIMM
from tests.models.pretrained.published_names import check_published_file, encoders_of


@pytest.mark.parametrize("name", encoders_of(TIMM))
def test_a_published_file_fills_the_encoder(tmp_path, name):
    check_published_file(TIMM, name, tmp_path)
