import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from mdepth_jax.errors import UserError
from mdepth_jax.models import DepthNet, load_pretrained
from mdepth_jax.models.encoders import MobileNetV2
from mdepth_jax.models.pretrained.publishers import TIMM, TORCHVISION


def build(seed):
    return DepthNet(MobileNetV2(0.25, rngs=nnx.Rngs(seed)), None)


def published(model, publisher=TORCHVISION):
    """Its tensors by their names and in the layout of PyTorch."""
    return {
        name: np.ascontiguousarray(np.asarray(variable).T.swapaxes(2, 3) if variable.ndim == 4 else variable)
        for name, variable in publisher.variables(model.encoder).items()
    }


def save(path, tensors):
    np.savez(path, **tensors) if path.suffix == ".npz" else safetensors.numpy.save_file(tensors, path)


@pytest.fixture(scope="module")
def other():
    return build(seed=1)


@pytest.fixture(scope="module")
def tensors(other):
    return published(other)


@pytest.fixture
def model(model_of_this_file):
    """With scaling and normalization of torchvision, whatever an earlier test set."""
    model_of_this_file.preprocessing = "torchvision"
    model_of_this_file.set_attributes(epsilon=1e-5)
    return model_of_this_file


@pytest.fixture(scope="module")
def model_of_this_file():
    return build(seed=0)


@pytest.mark.parametrize(
    ("publisher", "suffix"), [(TORCHVISION, "npz"), (TORCHVISION, "safetensors"), (TIMM, "safetensors")]
)
def test_the_publisher_is_recognized_by_the_names(tmp_path, model, other, publisher, suffix):
    contents = published(other, publisher)
    path = tmp_path / f"weights.{suffix}"
    save(path, contents)
    load_pretrained(model, path)
    restored = published(model, publisher)
    for name, tensor in contents.items():
        np.testing.assert_array_equal(restored[name], tensor)


NAME = "features.3.conv.1.0.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop(NAME), f"tensor {NAME} is missing"),
        (lambda t: t.update({"features.99.weight": t[NAME]}), "tensor features.99.weight has no place"),
        (lambda t: t.update({"features.3.conv.1.0.kernel": t.pop(NAME)}), f"tensor {NAME} is missing"),
        (lambda t: t.update({NAME: t[NAME][..., :2]}), f"tensor {NAME} has shape"),
        (lambda t: t.update({NAME: t[NAME].swapaxes(0, 1)}), f"tensor {NAME} has shape"),
        (lambda t: t.update({NAME: np.full_like(t[NAME], np.nan)}), f"tensor {NAME} holds NaN"),
        (lambda t: t.update({NAME: np.full(t[NAME].shape, 1e300)}), f"tensor {NAME} holds NaN or infinity"),
        (lambda t: t.update({NAME: t[NAME].astype(np.int32)}), f"tensor {NAME} holds int32"),
        (
            lambda t: [t.pop(name) for name in list(t)],
            r"tensor .* is missing \(260 such\); use weights of the same network",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_a_wrong_tensor_is_named_and_nothing_changes(tmp_path, model, tensors, change, message):
    path, contents = tmp_path / "weights.npz", dict(tensors)
    change(contents)
    np.savez(path, **contents)
    before = published(model)
    with pytest.raises(UserError, match=message) as error:
        load_pretrained(model, path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    for name, tensor in published(model).items():
        np.testing.assert_array_equal(tensor, before[name])


@pytest.mark.parametrize(
    ("publisher", "suffix", "preprocessing", "epsilon", "fits"),
    [
        (TIMM, "safetensors", "torchvision", 1e-5, True),
        (TIMM, "safetensors", "tensorflow", 1e-3, True),
        (TIMM, "safetensors", "tensorflow", 1e-5, False),
        (TIMM, "safetensors", "torchvision", 1e-3, False),
        (TIMM, "npz", "tensorflow", 1e-5, True),
        (TORCHVISION, "npz", "tensorflow", 1e-5, True),
    ],
)
def test_network_and_weights_are_of_the_same_training(tmp_path, model, publisher, suffix, preprocessing, epsilon, fits):
    """As far as it is known: that of a project's own files. Anyone may have trained what an `.npz` holds."""
    path = tmp_path / f"weights.{suffix}"
    save(path, published(model, publisher))
    model.preprocessing = preprocessing
    model.set_attributes(epsilon=epsilon)
    if fits:
        load_pretrained(model, path)
        return
    with pytest.raises(UserError) as error:
        load_pretrained(model, path)
    for words in (
        f"{path} holds weights of timm, which were not trained with",
        f"`config.model.preprocessing` {preprocessing!r} and `config.model.norm_epsilon` {epsilon:g}",
        "set `config.model.preprocessing=torchvision` `config.model.norm_epsilon=1e-05` or ",
    ):
        assert words in str(error.value)
