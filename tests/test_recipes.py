"""Every recipe of the shipped configurations learns as it is configured."""

import itertools
import math
import pathlib
import shutil

import jax.numpy as jnp
import pytest
from flax import nnx

from mdepth_jax import prepare, train
from mdepth_jax.data.loading import open_data
from mdepth_jax.errors import UserError
from mdepth_jax.models import Header, build_model, default_config, depthwise, layers
from mdepth_jax.models.encoders import ENCODERS
from mdepth_jax.models.weights import save_weights
from mdepth_jax.training import adversary, setup, stages
from mdepth_jax.training.config import override
from mdepth_jax.training.step import add_teacher
from mdepth_jax.training.terms import wanted_maps
from tests.models.test_depth_net import SmallEncoder
from tests.test_configs import load

STEPS = 50


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of pairs with depth maps, and the same maps as a teacher's."""
    path = tmp_path_factory.mktemp("data") / "scenes"
    prepare.main(["scenes", "--output", str(path), "--count", "2"])
    shutil.copytree(path / "depth", path / "teacher")
    return path


class SmallDiscriminator(nnx.Module):
    """One convolution of image and depth."""

    def __init__(self, *, rngs):
        self.conv = layers.Conv(4, 1, 3, 2, rngs=rngs)

    def __call__(self, image, depth):
        both = jnp.concatenate([image.astype(jnp.float32) / 255, depth], axis=-1)
        return self.conv(both).mean(axis=(1, 2, 3))


@pytest.fixture(scope="module", autouse=True)
def quick_to_compile():
    """The encoder and the discriminator have few layers, and XLA's convolutions compile fastest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adversary, "Discriminator", SmallDiscriminator)
        for module in (depthwise, layers):
            patch.setattr(module, "default_implementation", lambda: "lax")
        for name in ("mobilenet_v2", "mobilenet_v1"):
            patch.setitem(ENCODERS, name, lambda width, padding, *, rngs: SmallEncoder(rngs))
        yield


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, quick_to_compile):
    """Weights of a small network, of no run in particular."""
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    config = default_config()
    config.heads = 0
    save_weights(path, build_model(config, rngs=nnx.Rngs(7)), config, Header())
    return path


@pytest.fixture
def make_tiny(folder, teacher, monkeypatch):
    """Loads a configuration and makes its images, its data and its batch tiny; nothing else of it changes."""
    monkeypatch.setattr(setup, "check_teacher_sign", lambda *arguments: None)  # the teacher is untrained

    def make(name):
        config = load(name)
        override(config, "data", {"height": 32, "width": 32, "batch_size": 2, "eval_crop": "none"})
        given = {"without"} if "pretrained" in config.needs else set()
        config.without = "pretrained" if given else ""
        if config.data.source == "folder":
            override(config, "data", {"root": str(folder), "train": "train", "eval": "test"})
        else:
            override(config, "data", {"count": 2, "eval_count": 2})
        needs_run = "pairwise" in config.loss.terms or ("pixelwise" in config.loss.terms and not config.teacher.maps)
        if config.teacher.run or needs_run:
            config.teacher.run = str(teacher)
        stages.check_runs({pathlib.Path("run"): config}, given)
        return config

    return make


def open_fixed_batch(config, wanted):
    """Repeats one batch, so that a fall of the loss is none of the data; the epochs of the run take `STEPS` steps."""
    data, supervision = open_data(config, wanted)
    batch = next(data.train(0))
    steps = math.ceil(STEPS / config.train.epochs)
    return data._replace(train=lambda step: itertools.repeat(batch), steps_per_epoch=steps), supervision


KD = {"ranking", "pixelwise", "pairwise"}
LOSSES = {  # of every recipe; rows that share one are compared in `test_every_key`
    "kd.py": KD,
    "kd.py:pairs": {"ranking", "pixelwise"},
    "kd.py:diw": KD,
    "teacher.py": {"dense"},
    "teacher.py:folder": {"dense"},
    "diw.py": {"ranking"},
    "redweb.py": {"improved_ranking"},
    "mannequin.py": {"mannequin"},
    "nyuv2.py": {"l1"},
    "nyuv2.py:small": {"l1"},
    "ablations.py:table4_kd_no_ip": KD,
    "ablations.py:table4_kd_1ip": KD,
    "ablations.py:table5_pi_only": {"pixelwise"},
    "ablations.py:table5_ranking_pi": {"ranking", "pixelwise"},
    "ablations.py:table5_ranking_pi_pa_gan": KD | {"holistic"},
    "ablations.py:table6_no_rebalancing": KD,
    "ablations.py:table6_mtadam": KD,
    "ablations.py:table6_wi_easy_hard": {f"{term}_{n}" for term in ("ranking", "pixelwise") for n in range(3)}
    | {"pairwise"},
    "ablations.py:table6_easy_hard": KD,
    "ablations.py:table5_ranking_pi_pairs": {"ranking", "pixelwise"},
    "nyuv2_pairs.py:table6_hard_easy": KD,
}
EVALUATED = ("kd.py", "mannequin.py", "nyuv2.py")  # by pairs, and by depth maps with and without a unit


@pytest.mark.usefixtures("optax_promotes")
@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_of_a_fixed_batch_falls_as_configured(name, make_tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "open_data", open_fixed_batch)
    config = make_tiny(name)
    trainer = train.prepare(config, tmp_path / "run")
    weights = trainer.objective.initial_weights(config.loss.weights.to_dict())
    assert weights.keys() == LOSSES[name]
    batch = add_teacher(next(trainer.data.train(0)), trainer.mesh, trainer.teacher)
    totals = []
    for _ in range(STEPS):
        trainer.state, scalars = trainer.train_step(trainer.state, batch)
        totals.append(sum(weight * float(scalars[f"loss/{loss}"]) for loss, weight in weights.items()))
    assert totals[-1] < 0.995 * totals[0]  # by 1 to 80 %; nothing in it is noise
    if name in EVALUATED:
        trainer.step = trainer.total_steps
        result = trainer.run()
        assert result.finished
        assert f"test/{config.train.best_by}" in result.records[-1]


def test_unlabelled_images_join_for_the_pixelwise_term(make_tiny, folder):
    config = make_tiny("kd.py:pairs")
    config.data.unlabelled = str(folder)
    data, _ = open_data(config, wanted_maps(config))
    labelled = len((folder / "pairs_train.csv").read_text().splitlines()) // 2
    images = len(list((folder / "images").iterdir()))
    assert data.steps_per_epoch == (labelled + images) // 2


def test_cached_maps_have_no_features(make_tiny, tmp_path):
    config = make_tiny("kd.py:pairs")
    config.loss.terms = "ranking+pairwise"
    with pytest.raises(UserError, match=r"needs a teacher with features.*`config\.teacher\.run=DIR`"):
        train.prepare(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
