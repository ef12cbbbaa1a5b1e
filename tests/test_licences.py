import pytest

from mdepth_jax import licences
from mdepth_jax.licences import DATA, IMAGENET, UNKNOWN, WEIGHTS, of_runs
from mdepth_jax.training.config import overlay


def names(*configs):
    return [licence.name for licence in of_runs(configs)]


def test_rendered_scenes_and_the_embedded_teacher():
    config = overlay(data={"source": "scenes"}, model={"pretrained": ""}, teacher={"run": "embedded"})
    assert of_runs([config]) == [DATA["scenes"], WEIGHTS["embedded"]]


@pytest.mark.parametrize(
    ("root", "known"),
    [("data/nyuv2", "nyuv2"), ("NYU_records/", "nyuv2"), ("x/DIW", "diw"), ("ReDWeb_V1", "redweb"),
     ("mannequin_records", "mannequin")],
)  # fmt: skip
def test_a_data_set_is_known_by_the_name_of_its_folder(root, known):
    [licence] = of_runs([overlay(data={"root": root})])
    assert licence.name.startswith(DATA[known].name)
    assert "by the folder's name" in licence.name
    assert licence[1:] == DATA[known][1:]


def test_what_is_not_known_is_said_to_be_unknown():
    config = overlay(
        data={"root": "nyuv2/mine", "unlabelled": "photos"},
        teacher={"maps": True, "run": "runs/teacher"},
        model={"pretrained": "w.npz"},
    )
    found = of_runs([config])
    assert [licence.name for licence in found] == [
        "data in mine", "data in photos", "maps of a teacher beside mine", "teacher teacher", "encoder's weights w.npz",
    ]  # fmt: skip
    assert all(licence.terms.startswith(UNKNOWN) for licence in found)
    assert of_runs([]) == [licences.Licence("training", UNKNOWN)]


@pytest.mark.parametrize(
    ("pretrained", "sources"),
    [("keras", ["keras"]), ("m.h5", ["keras"]), ("m.pth", ["torchvision", "timm"]), ("m.pth.tar", ["fastdepth"]),
     ("model.safetensors", ["timm", "torchvision"])],
)  # fmt: skip
def test_pretrained_weights_bring_the_terms_of_imagenet(pretrained, sources):
    found = of_runs([overlay(data={"source": "scenes"}, model={"pretrained": pretrained})])
    assert found[1:] == [*(WEIGHTS[source] for source in sources), IMAGENET]


def test_weights_bring_the_terms_of_all_runs_before():
    first = overlay(data={"root": "redweb"}, model={"pretrained": "keras"}, teacher={"run": "net.pth"})
    second = overlay(data={"root": "diw"}, model={"start": "runs/first"})
    assert names(first, second) == [*names(first), *names(second)[:1]]
    assert names(first)[1] == WEIGHTS["encdecresnet"].name
    assert "runs/first" in names(second)[-1]
    assert names(first, first) == names(first)
