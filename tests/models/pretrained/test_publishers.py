import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.models import load_pretrained
from mdepth_jax.models.pretrained.publishers import PYTORCH_PUBLISHERS, TIMM
from tests.models.pretrained.published_names import abstract_model, encoders_of, load_shapes, save


def test_every_published_network_has_a_rule():
    networks = [f"{publisher.name}/{name}" for publisher in PYTORCH_PUBLISHERS for name in encoders_of(publisher)]
    assert sorted(networks) == sorted(load_shapes())


@pytest.mark.parametrize("other", ["timm/mobilenet_v3_large", "torchvision/mobilenet_v2", "torchvision/shufflenet_v2"])
def test_a_file_of_another_network_is_refused(tmp_path, other):
    message = r"weights\.npz: tensor \S+ is missing \(\d+ such\); use weights of the same net"
    with pytest.raises(UserError, match=message):
        load_pretrained(abstract_model(TIMM, "mnasnet"), save(tmp_path, load_shapes()[other]))
