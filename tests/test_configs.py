"""Every shipped configuration runs one step, at tiny size."""

import shutil

import pytest

from mdepth_jax import prepare, train
from mdepth_jax.training import config as configuration
from tests.training.test_config import get_config

pytestmark = pytest.mark.usefixtures("optax_promotes")

TINY = {
    "model": {"width": 0.25},
    "data": {"height": 32, "width": 32, "batch_size": 2},
    "train": {"epochs": 1, "log_every": 1},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of pairs with depth maps, and the same maps as a teacher's."""
    path = tmp_path_factory.mktemp("data") / "scenes"
    prepare.main(["scenes", "--output", str(path), "--count", "2"])
    shutil.copytree(path / "depth", path / "teacher")
    return path


@pytest.mark.parametrize(
    ("file", "variant", "terms"),
    [
        ("kd", "", {"ranking", "pixelwise", "pairwise"}),
        ("kd", "pairs", {"ranking", "pixelwise"}),
        ("kd", "diw", {"ranking", "pixelwise", "pairwise"}),
        ("teacher", "", {"dense"}),
        ("teacher", "folder", {"dense"}),
    ],
)
def test_one_step(file, variant, terms, folder, tmp_path):
    config = get_config(file, variant)
    configuration.override(config, "model", TINY["model"])
    configuration.override(config, "data", TINY["data"])
    configuration.override(config, "train", TINY["train"])
    if config.data.source == "folder":
        config.data.root = str(folder)
    else:
        configuration.override(config, "data", {"count": 2, "eval_count": 2})
    if variant == "diw":
        config.teacher.run = "embedded"
    configuration.check(config)
    trainer, _ = train.prepare(config, tmp_path / "run")
    assert trainer.total_steps == 1
    result = trainer.run()
    assert result.finished
    assert {name.removeprefix("loss/") for name in result.records[0] if name.startswith("loss/")} == terms


def test_unlabelled_images_join_for_the_pixelwise_term(folder, tmp_path):
    config = get_config("kd", "pairs")
    for group in ("model", "data", "train"):
        configuration.override(config, group, TINY[group])
    configuration.override(config, "data", {"root": str(folder), "unlabelled": str(folder)})
    trainer, _ = train.prepare(config, tmp_path / "run")
    labelled = len((folder / "pairs_train.csv").read_text().splitlines()) // 2
    images = len(list((folder / "images").iterdir()))
    assert trainer.total_steps == (labelled + images) // 2


def test_cached_maps_have_no_features(folder, tmp_path):
    config = get_config("kd", "pairs")
    configuration.override(config, "data", {**TINY["data"], "root": str(folder)})
    config.loss.terms = "ranking+pairwise"
    with pytest.raises(configuration.UserError, match=r"needs a teacher with features.*--config\.teacher\.run=DIR"):
        train.prepare(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
