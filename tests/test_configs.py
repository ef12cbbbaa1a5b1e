"""Every shipped configuration runs one step, at tiny size, and learns a fixed batch."""

import itertools
import pathlib
import shutil

import jax
import pytest

from mdepth_jax import prepare, train
from mdepth_jax.data.loading import open_data
from mdepth_jax.errors import UserError
from mdepth_jax.models import depthwise, layers
from mdepth_jax.paper import figures
from mdepth_jax.training import stages
from mdepth_jax.training.checks import check_config
from mdepth_jax.training.config import lookup, override
from mdepth_jax.training.stages import load_file

pytestmark = pytest.mark.usefixtures("optax_promotes")
CONFIGS = pathlib.Path(__file__).parents[1] / "configs"

TINY = {
    "model": {"encoder": "mobilenet_v1", "width": 0.25},  # compiles fastest
    "data": {"height": 32, "width": 32, "batch_size": 2},
    "train": {"epochs": 1, "log_every": 1},
}
KD = {"ranking", "pixelwise", "pairwise"}
RUNS = {  # of every shipped configuration, what it learns from
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
    "ablations.py:table5_ranking_pi_pairs": {"ranking", "pixelwise"},
    "ablations.py:table5_ranking_pi_pa_gan": KD | {"holistic"},
    "ablations.py:table6_no_rebalancing": KD,
    "ablations.py:table6_mtadam": KD,
    "ablations.py:table6_wi_easy_hard": {f"{term}_{n}" for term in ("ranking", "pixelwise") for n in range(3)}
    | {"pairwise"},
    "ablations.py:table6_easy_hard": KD,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of pairs with depth maps, and the same maps as a teacher's."""
    path = tmp_path_factory.mktemp("data") / "scenes"
    prepare.main(["scenes", "--output", str(path), "--count", "2"])
    shutil.copytree(path / "depth", path / "teacher")
    return path


@pytest.fixture(autouse=True)
def quick_to_compile(monkeypatch):
    """XLA's convolutions compile fastest."""
    for module in (depthwise, layers):
        monkeypatch.setattr(module, "default_implementation", lambda: "lax")
    yield
    jax.clear_caches()  # thirty training steps take gigabytes


def make_tiny(name, folder):
    file, _, variant = name.partition(":")
    config = load_file(CONFIGS / file, variant)
    for group, values in TINY.items():
        override(config, group, values)
    if config.data.source == "folder":
        override(config, "data", {"root": str(folder), "train": "train", "eval": "test", "eval_crop": "none"})
    else:
        override(config, "data", {"count": 2, "eval_count": 2})
    if not config.teacher.maps and any("pixelwise" in term for term in RUNS[name]):
        config.teacher.run = "embedded"
    check_config(config)
    return config


RECIPES = {  # smallest learning rate: MTAdam divides by the largest of the losses' denominators
    "kd.py": 3e-3,
    "diw.py": 3e-3,
    "redweb.py": 3e-3,
    "mannequin.py": 3e-3,
    "nyuv2.py": 3e-3,
    "ablations.py:table5_ranking_pi_pa_gan": 3e-3,
    "ablations.py:table6_mtadam": 2e-2,
}


@pytest.mark.parametrize("name", [name for name in RUNS if name not in RECIPES])
def test_one_step(name, folder, tmp_path):
    config = make_tiny(name, folder)
    trainer = train.prepare(config, tmp_path / "run")
    assert trainer.total_steps == 1
    check_records(name, config, trainer.run())


@pytest.mark.parametrize("name", RECIPES)
def test_a_fixed_batch_is_learned_in_fifty_steps(name, folder, tmp_path, monkeypatch):
    config = make_tiny(name, folder)
    override(config, "train", {"log_every": 10})
    override(config, "optim", {"learning_rate": max(config.optim.learning_rate, RECIPES[name])})
    config.rebalance.order = "off"

    def open_fixed_batch(config, wanted):
        data, supervision = open_data(config, wanted)
        batch = next(data.train(0))
        return data._replace(train=lambda step: itertools.repeat(batch), steps_per_epoch=50), supervision

    monkeypatch.setattr(train, "open_data", open_fixed_batch)
    trainer = train.prepare(config, tmp_path / "run")
    result = trainer.run()
    check_records(name, config, result)
    totals = [record["total"] for record in result.records if "total" in record]
    assert len(totals) == 5
    assert totals[-1] < 0.8 * totals[0]


def check_records(name, config, result):
    assert result.finished
    assert {key.removeprefix("loss/") for key in result.records[0] if key.startswith("loss/")} == RUNS[name]
    assert f"test/{config.train.best_by}" in result.records[-1]


def test_every_row_of_the_paper_is_a_configuration():
    for row in figures.ROWS:
        config = load_file(CONFIGS / "ablations.py", row)
        assert config.name == row
        for run in stages.runs(config, pathlib.Path("runs")).values():
            run.data.root = "somewhere"
            check_config(run)


def test_heads_of_sequential_rows_are_those_of_every_stage():
    one = load_file(CONFIGS / "ablations.py", "table4_sequential_1ip")
    runs = stages.runs(one, pathlib.Path("runs"))
    assert [directory.name for directory in runs] == ["mc", "redweb", "diw"]
    assert {run.model.heads for run in runs.values()} == {1}


ADAM = {"optim.optimizer": "adam", "optim.schedule": "staircase", "optim.decay_rate": 0.5, "rebalance.order": "off"}
PAPER = {  # section 4.1
    "diw.py": ADAM | {"data.batch_size": 4, "optim.learning_rate": 1e-4, "optim.decay_every_epochs": 1.0,
                      "train.epochs": 5, "data.height": 224, "data.width": 448},
    "redweb.py": ADAM | {"data.batch_size": 4, "optim.learning_rate": 4e-4, "optim.decay_every_epochs": 50.0,
                         "train.epochs": 250, "data.sampled_pairs": 3000, "data.height": 224, "data.width": 224,
                         "data.crop": "random", "data.flip": True},
    "mannequin.py": ADAM | {"data.batch_size": 16, "optim.learning_rate": 4e-4, "optim.decay_every_epochs": 4.0,
                            "train.epochs": 12, "data.height": 224, "data.width": 224, "data.crop": "random",
                            "data.jitter": 0.0},
    "nyuv2.py": {"optim.optimizer": "sgd", "optim.momentum": 0.9, "optim.weight_decay": 1e-4, "data.batch_size": 8,
                 "optim.learning_rate": 1e-2, "optim.decay_rate": 0.1, "optim.decay_every_epochs": 10.0,
                 "train.epochs": 30, "data.crop": "center", "data.height": 224, "data.width": 224},
    "ablations.py:table4_kd_no_ip": {"model.heads": 0, "loss.terms": "ranking+pixelwise+pairwise",
                                     "rebalance.order": "off"},
    "ablations.py:table4_kd_1ip": {"model.heads": 1, "rebalance.order": "off"},
    "ablations.py:table5_pi_only": {"model.heads": 0, "loss.terms": "pixelwise"},
    "ablations.py:table5_ranking_pi": {"model.heads": 0, "loss.terms": "ranking+pixelwise"},
    "ablations.py:table5_ranking_pi_pa_gan": {"model.heads": 0, "loss.weights.holistic": 0.05,
                                              "discriminator.update_every": 2, "rebalance.order": "off"},
    "ablations.py:table6_mtadam": {"model.heads": 2, "optim.optimizer": "mtadam", "rebalance.order": "off"},
    "ablations.py:table6_wi_easy_hard": {"rebalance.order": "easy_to_hard", "rebalance.weight_initialization": True,
                                         "rebalance.fixed_intermediate": False},
    "ablations.py:table6_easy_hard": {"rebalance.order": "easy_to_hard", "rebalance.weight_initialization": False,
                                      "rebalance.fixed_intermediate": True, "rebalance.events_per_epoch": 5},
    "ablations.py:table6_hard_easy": {"rebalance.order": "hard_to_easy", "rebalance.fixed_intermediate": True,
                                      "data.batch_size": 4, "train.epochs": 5},
}  # fmt: skip


@pytest.mark.parametrize("name", PAPER)
def test_recipes_are_the_papers(name):
    file, _, variant = name.partition(":")
    config = load_file(CONFIGS / file, variant)
    assert {key: lookup(config, key) for key in PAPER[name]} == PAPER[name]


@pytest.mark.parametrize(("file", "variant"), [("ablations.py", "table9"), ("ablations.py", "table3_mc_pairs"),
                                              ("sequential.py", "diw_mc"), ("kd.py", "pears"),
                                              ("teacher.py", "pears")])  # fmt: skip
def test_unknown_variants_name_the_known_ones(file, variant):
    with pytest.raises(UserError, match="there are "):
        load_file(CONFIGS / file, variant)


def test_unlabelled_images_join_for_the_pixelwise_term(folder, tmp_path):
    config = make_tiny("kd.py:pairs", folder)
    config.data.unlabelled = str(folder)
    trainer = train.prepare(config, tmp_path / "run")
    labelled = len((folder / "pairs_train.csv").read_text().splitlines()) // 2
    images = len(list((folder / "images").iterdir()))
    assert trainer.total_steps == (labelled + images) // 2


def test_cached_maps_have_no_features(folder, tmp_path):
    config = make_tiny("kd.py:pairs", folder)
    config.loss.terms = "ranking+pairwise"
    with pytest.raises(UserError, match=r"needs a teacher with features.*`config\.teacher\.run=DIR`"):
        train.prepare(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
