import pytest

from mdepth_jax import licenses
from mdepth_jax.licenses import DATA, IMAGENET, UNKNOWN, WEIGHTS, RunInputs, find_licenses
from mdepth_jax.training.config import overlay


def names(*configs):
    return [license.name for license in find_licenses(map(RunInputs, configs))]


def test_rendered_scenes_and_the_embedded_teacher():
    config = overlay(data={"source": "scenes"}, model={"pretrained": ""}, teacher={"run": "embedded"})
    assert find_licenses([RunInputs(config)]) == [DATA["scenes"], WEIGHTS["embedded"]]


def test_the_name_of_a_folder_says_nothing():
    """The folder `nyuv2` may hold anything; the run records what it is."""
    config = overlay(data={"root": "data/nyuv2"})
    assert find_licenses([RunInputs(config)]) == [licenses.License("data in nyuv2", UNKNOWN)]
    assert find_licenses([RunInputs(config, (DATA["redweb"],))]) == [DATA["redweb"]]


def test_unrecognized_names_have_unknown_terms():
    config = overlay(
        data={"root": "nyuv2/mine", "unlabelled": "photos"},
        teacher={"maps": True, "run": "runs/teacher"},
        model={"pretrained": "w.npz"},
    )
    found = find_licenses([RunInputs(config)])
    assert [license.name for license in found] == [
        "data in mine", "data in photos", "maps of a teacher next to mine", "teacher teacher",
        "encoder's weights w.npz",
    ]  # fmt: skip
    assert all(license.terms.startswith(UNKNOWN) for license in found)
    assert find_licenses([]) == [licenses.License("training", UNKNOWN)]


@pytest.mark.parametrize(
    ("pretrained", "publishers"),
    [("keras", ["keras"]), ("m.h5", ["keras"]), ("m.pth", ["torchvision", "timm"]), ("m.pth.tar", ["fastdepth"]),
     ("model.safetensors", ["timm", "torchvision"])],
)  # fmt: skip
def test_pretrained_weights_add_the_terms_of_imagenet(pretrained, publishers):
    found = find_licenses([RunInputs(overlay(data={"source": "scenes"}, model={"pretrained": pretrained}))])
    assert found[1:] == [*(WEIGHTS[publisher] for publisher in publishers), IMAGENET]


def test_weights_have_the_terms_of_all_earlier_runs():
    first = overlay(data={"root": "redweb"}, model={"pretrained": "keras"}, teacher={"run": "net.pth"})
    second = overlay(data={"root": "diw"}, model={"start": "runs/first"})
    assert names(first, second) == [*names(first), *names(second)[:1]]
    assert names(first)[1] == WEIGHTS["encdecresnet"].name
    assert "runs/first" in names(second)[-1]
    assert names(first, first) == names(first)
