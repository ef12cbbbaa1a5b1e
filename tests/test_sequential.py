"""Training in stages on tiny sets in the layouts of the Mannequin Challenge, ReDWeb and Depth in the Wild."""

import pathlib

import h5py
import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from mdepth_jax import prepare, train
from mdepth_jax.models import depthwise, layers, load_weights
from mdepth_jax.models.weights import WITH_HEADS, named_tensors
from mdepth_jax.training import stages
from mdepth_jax.training.config import override

CONFIGS = pathlib.Path(__file__).parents[1] / "configs"
NETWORK = {"encoder": "mobilenet_v1", "width": 0.25}  # compiles fastest

pytestmark = pytest.mark.usefixtures("optax_promotes")


@pytest.fixture(autouse=True)
def quick_to_compile(monkeypatch):
    """XLA's convolutions compile fastest."""
    for module in (depthwise, layers):
        monkeypatch.setattr(module, "default_implementation", lambda: "lax")


def draw_frame(number):
    """Noise, and depth that grows from left to right, 1 to 200."""
    image = np.random.default_rng(number).integers(0, 256, (36, 48, 3), dtype=np.uint8)
    return image, np.linspace(1, 200, 48).round()[np.newaxis].repeat(36, axis=0)


def write_mannequin(root):
    for number, split in enumerate(("train", "train", "validation")):
        image, depth = draw_frame(number)
        (root / split).mkdir(parents=True, exist_ok=True)
        with h5py.File(root / split / f"{number}.h5", "w") as file:
            file["gt/img"], file["gt/mvs_depth"] = image, depth.astype(np.float32)


def write_redweb(root):
    for folder in ("Imgs", "RDs"):
        (root / "ReDWeb_V1" / folder).mkdir(parents=True)
    for number in range(20):  # the last twentieth is held out
        image, depth = draw_frame(number)
        Image.fromarray(image).save(root / f"ReDWeb_V1/Imgs/{number}.jpg")
        Image.fromarray(depth.astype(np.uint8)).save(root / f"ReDWeb_V1/RDs/{number}.png")


def write_diw(root):
    (root / "DIW_Annotations").mkdir(parents=True)
    for split, numbers in (("train_val", range(4)), ("test", range(4, 6))):
        (root / f"DIW_{split}").mkdir()
        lines = []
        for number in numbers:
            Image.fromarray(draw_frame(number)[0]).save(root / f"DIW_{split}/{number}.thumb", "jpeg")
            lines += [f"./DIW_{split}/{number}.thumb", f"{number + 1},40,12,{number + 2},>,48,36"]
        (root / f"DIW_Annotations/DIW_{split}.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Prepared records by the name of the stage."""
    folder = tmp_path_factory.mktemp("sets")
    writers = {"mannequin": write_mannequin, "redweb": write_redweb, "diw": write_diw}
    for name, write in writers.items():
        write(folder / "raw" / name)
        pairs = ["--pairs_per_image", "3"] if name == "redweb" else []
        prepare.main([name, "--source", str(folder / "raw" / name), "--output", str(folder / name), *pairs])
    return {"mc": folder / "mannequin", "redweb": folder / "redweb", "diw": folder / "diw"}


def read_tensors(trainer):
    return {name: np.asarray(variable[...]) for name, variable in named_tensors(trainer.model).items()}


def test_weights_and_heads_arrive_from_stage_to_stage(roots, tmp_path):
    config = stages.load_file(CONFIGS / "ablations.py", "table4_sequential_1ip")
    for name, stage in config.stages.items():
        override(stage, "model", NETWORK)
        override(stage, "data", {"root": str(roots[name]), "height": 32, "width": 32, "batch_size": 2})
        override(stage, "train", {"epochs": 1, "log_every": 1})
    config.stages.redweb.data.update({"sampled_pairs": 50, "batch_size": 10})
    left = {}
    for directory, run in stages.runs(config, tmp_path).items():
        trainer = train.prepare(run, directory)
        arrived = read_tensors(trainer)
        assert any(name.startswith("decoder.heads.0.") for name in arrived)
        if left:
            assert arrived.keys() == left.keys()
            for name, tensor in left.items():
                np.testing.assert_array_equal(arrived[name], tensor, name)
        assert trainer.run().finished
        trained = read_tensors(trainer)
        assert all((trained[name] != arrived[name]).any() for name in trained if name.endswith("kernel"))
        left = safetensors.numpy.load_file(directory / WITH_HEADS)
        for name, tensor in trained.items():
            np.testing.assert_array_equal(left[name], tensor, name)
    weights = load_weights(tmp_path / "diw")
    names = [run.config["name"] for run in weights.header.lineage]
    assert names == ["mannequin", "redweb", "table4_sequential_1ip"]
    for name, variable in named_tensors(weights.model).items():
        np.testing.assert_array_equal(variable[...], left[name])
