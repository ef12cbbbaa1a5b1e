"""Every shipped configuration has the figures of the paper, key by key."""

import pathlib

import pytest

from mdepth_jax.data.types import Supervision
from mdepth_jax.errors import UserError
from mdepth_jax.paper import figures
from mdepth_jax.training import stages
from mdepth_jax.training.config import differences, flatten
from mdepth_jax.training.objective import make_objective
from mdepth_jax.training.optimizers import make_balancer, make_schedule
from mdepth_jax.training.stages import load_file

CONFIGS = pathlib.Path(__file__).parents[1] / "configs"

# The paper's recipe on DIW (Sec. 3.3 and 4.1), every key of it; nothing here is read from the code.
DIW = {
    "name": "diw", "seed": 0, "needs": "ranking+pretrained", "without": "",
    "model.encoder": "mobilenet_v2", "model.width": 1.0, "model.norm_epsilon": 1e-5,
    "model.preprocessing": "tensorflow", "model.decoder": "fbnet", "model.kernel": 5, "model.expansion": 2.0,
    "model.fusion": "concat", "model.last_layer": "upsample", "model.heads": 0, "model.output_bias": 0.0,
    "model.output_scale": 1.0, "model.dtype": "float32", "model.widths": (), "model.pretrained": "", "model.start": "",
    "data.source": "folder", "data.root": "", "data.train": "train", "data.val": "",
    "data.val_share": 0.1, "data.val_seed": 0, "data.eval": "test", "data.unlabelled": "",
    "data.count": 0, "data.eval_count": 0, "data.height": 224, "data.width": 448, "data.batch_size": 4,
    "data.pairs": 0, "data.sampled_pairs": 0, "data.eval_pairs": 1, "data.scale": 1.0, "data.rotation": 0.0,
    "data.crop": "none", "data.flip": False, "data.jitter": 0.0, "data.map_scale": 0.0, "data.depth_scale": 0.001,
    "data.eval_crop": "none", "data.log": 0.0,
    "teacher.maps": False, "teacher.run": "", "teacher.inverted": False,
    "loss.terms": "ranking", "loss.weights.ranking": 1.0, "loss.weights.improved_ranking": 1.0,
    "loss.weights.pixelwise": 1.0, "loss.weights.pairwise": 1.0, "loss.weights.holistic": 0.05,
    "loss.weights.affine": 1.0, "loss.weights.gradient_matching": 1.0, "loss.weights.dense": 1.0,
    "loss.weights.l1": 1.0, "loss.weights.mannequin": 1.0, "loss.pool_scale": 0.5, "loss.drop_easy": 0.0,
    "loss.trim": 0.0,
    "discriminator.learning_rate": 4e-4, "discriminator.update_every": 2,
    "rebalance.order": "off", "rebalance.strength": 3.0, "rebalance.events_per_epoch": 5,
    "rebalance.weight_initialization": False, "rebalance.fixed_intermediate": True,
    "optim.optimizer": "adam", "optim.momentum": 0.9, "optim.weight_decay": 0.0, "optim.learning_rate": 1e-4,
    "optim.schedule": "staircase", "optim.decay_rate": 0.5, "optim.decay_every_epochs": 1.0,
    "optim.warmup_epochs": 0.0,
    "train.epochs": 5, "train.log_every": 20, "train.evaluations_per_epoch": 1, "train.best_by": "whdr",
    "train.save_minutes": 10.0,
}  # fmt: skip
REDWEB = DIW | {
    "name": "redweb", "needs": "improved_ranking+pretrained", "loss.terms": "improved_ranking",
    "data.sampled_pairs": 3000, "data.height": 224, "data.width": 224, "data.crop": "random", "data.scale": 1.15,
    "data.rotation": 5.0, "data.jitter": 0.4, "data.flip": True, "data.train": "train[:95%]",
    "data.eval": "train[95%:]", "optim.learning_rate": 4e-4, "optim.decay_every_epochs": 50.0, "train.epochs": 250,
}  # fmt: skip
MANNEQUIN = DIW | {
    "name": "mannequin", "needs": "mannequin+pretrained", "loss.terms": "mannequin", "data.log": 1.0,
    "data.depth_scale": 1.0, "data.height": 224, "data.width": 224, "data.batch_size": 16, "data.crop": "random",
    "data.scale": 1.15, "data.rotation": 5.0, "data.flip": True, "data.eval": "validation",
    "optim.learning_rate": 4e-4, "optim.decay_every_epochs": 4.0, "train.epochs": 12, "train.best_by": "si_rmse",
}  # fmt: skip
NYUV2 = DIW | {
    "name": "nyuv2", "needs": "l1+pretrained", "loss.terms": "l1", "model.output_bias": 2.8, "data.height": 224,
    "data.width": 224, "data.batch_size": 8, "data.crop": "center", "data.eval_crop": "eigen", "data.scale": 1.5,
    "data.rotation": 5.0, "data.jitter": 0.4, "data.flip": True, "optim.optimizer": "sgd", "optim.momentum": 0.9,
    "optim.weight_decay": 1e-4, "optim.learning_rate": 1e-2, "optim.decay_rate": 0.1,
    "optim.decay_every_epochs": 10.0, "train.epochs": 30, "train.best_by": "rmse",
}  # fmt: skip

ALL = "ranking+pixelwise+pairwise"
HARD_EASY = {"rebalance.order": "hard_to_easy"}
WITH_INITIALIZATION = {
    "rebalance.order": "easy_to_hard", "rebalance.weight_initialization": True, "rebalance.fixed_intermediate": False,
}  # fmt: skip
# Rows of distillation: intermediate predictions, terms and what else is theirs (Sec. 4.3.1).
ROWS = {
    "table4_kd_no_ip": (0, ALL, {}),
    "table4_kd_1ip": (1, ALL, {}),
    "table4_kd_2ip": (2, ALL, {}),
    "table5_pi_only": (0, "pixelwise", {}),
    "table5_ranking_pi": (0, "ranking+pixelwise", {}),
    "table5_ranking_pi_pa": (0, ALL, {}),
    "table5_ranking_pi_pa_gan": (0, f"{ALL}+holistic", {}),
    "table5_ranking_pi_pa_2ip": (2, ALL, {}),
    "table6_no_rebalancing": (2, ALL, {}),
    "table6_mtadam": (2, ALL, {"optim.optimizer": "mtadam"}),
    "table6_wi_easy_hard": (2, ALL, WITH_INITIALIZATION),
    "table6_easy_hard": (2, ALL, {"rebalance.order": "easy_to_hard"}),
    "table6_hard_easy": (2, ALL, HARD_EASY),
}
COSINE = {"optim.schedule": "cosine", "optim.warmup_epochs": 0.5, "optim.learning_rate": 1e-3}
# Data and budget of a small folder of pairs.
PAIRS = COSINE | {
    "model.output_scale": 0.01, "data.height": 192, "data.width": 256, "data.batch_size": 8, "data.log": 4.0,
    "data.flip": True, "data.jitter": 0.2, "teacher.maps": True, "train.epochs": 20,
}  # fmt: skip
SCENES = {
    "needs": "", "model.output_bias": 6.0, "model.output_scale": 0.01, "data.source": "scenes", "data.eval_count": 200,
    "data.eval_pairs": 10, "data.height": 96, "data.width": 128, "data.batch_size": 8, "data.flip": True,
    "data.log": 4.0, "optim.schedule": "cosine", "optim.learning_rate": 2e-3,
}  # fmt: skip


def distill(row, **changes):
    heads, terms, keys = ROWS[row]
    return (
        DIW | {"name": row, "needs": f"{terms}+pretrained", "loss.terms": terms, "model.heads": heads} | keys | changes
    )


def distill_pairs(row, **changes):
    return distill(row, **(PAIRS | {"name": f"{row}_pairs"} | changes))


def on_nyuv2(row):
    keys = {
        "data.root": "nyuv2",
        "data.val_share": 0.0,
        "data.height": 96,
        "data.width": 128,
        "model.output_bias": 4.0,
        "train.epochs": 6,
    }
    run = "runs/teacher_folder" if "pairwise" in ROWS[row][1] else ""
    return distill_pairs(row, **keys, **{"teacher.run": run})


EXPECTED = {
    "kd.py": DIW | HARD_EASY | SCENES | {
        "name": "kd", "loss.terms": "auto", "model.heads": 2, "data.count": 1200, "teacher.run": "embedded",
        "optim.warmup_epochs": 0.25, "train.epochs": 5, "train.log_every": 10,
    },
    "kd.py:pairs": DIW | HARD_EASY | PAIRS | {
        "name": "kd_pairs", "needs": "", "loss.terms": "auto", "model.heads": 2, "loss.weights.ranking": 0.1,
        "rebalance.strength": 1.0,
    },
    "kd.py:diw": distill("table6_hard_easy", name="kd_diw"),
    "teacher.py": DIW | SCENES | {
        "name": "teacher", "loss.terms": "dense", "model.heads": 2, "data.count": 9600, "optim.warmup_epochs": 0.1,
        "train.epochs": 2, "train.log_every": 20, "train.evaluations_per_epoch": 5,
    },
    "teacher.py:folder": DIW | PAIRS | {
        "name": "teacher_folder", "needs": "", "loss.terms": "dense", "model.heads": 2, "data.jitter": 0.0,
        "teacher.maps": False,
    },
    "diw.py": DIW,
    "redweb.py": REDWEB,
    "mannequin.py": MANNEQUIN,
    "nyuv2.py": NYUV2,
    "nyuv2.py:small": NYUV2 | COSINE | {
        "name": "nyuv2_small", "needs": "", "model.output_scale": 0.01, "data.eval_crop": "none",
        "optim.optimizer": "adam", "optim.weight_decay": 0.0, "optim.decay_rate": 0.5,
        "optim.decay_every_epochs": 1.0, "train.epochs": 10,
    },
    "ablations.py:table3_nyuv2": NYUV2 | {"name": "table3_nyuv2"},
    "ablations.py:table3_diw": DIW | {"name": "table3_diw"},
    "ablations.py:table3_redweb": REDWEB | {"name": "table3_redweb"},
    "ablations.py:table3_mc": MANNEQUIN | {"name": "table3_mc"},
    **{f"ablations.py:{row}": distill(row) for row in ROWS},
    **{f"ablations.py:{row}_pairs": distill_pairs(row) for row in ROWS},
    **{f"nyuv2_pairs.py:{row}": on_nyuv2(row) for row in ROWS},
}  # fmt: skip
STAGES = {"mc": MANNEQUIN, "redweb": REDWEB, "diw": DIW}
BASELINES = ["table4_sequential_no_ip", "table5_baseline", "table6_baseline", "table3_mc_redweb_diw"]
SEQUENTIAL = {  # stages and intermediate predictions
    "sequential.py:redweb_diw": ("redweb_diw", 0),
    "sequential.py:mc_diw": ("mc_diw", 0),
    "sequential.py:mc_redweb_diw": ("mc_redweb_diw", 0),
    "ablations.py:table3_redweb_diw": ("redweb_diw", 0),
    "ablations.py:table3_mc_diw": ("mc_diw", 0),
    **{f"ablations.py:{row}": ("mc_redweb_diw", 0) for row in BASELINES},
    "ablations.py:table4_sequential_1ip": ("mc_redweb_diw", 1),
    "ablations.py:table4_sequential_2ip": ("mc_redweb_diw", 2),
}


def load(name):
    file, _, variant = name.partition(":")
    return load_file(CONFIGS / file, variant)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_key(name):
    assert flatten(load(name)) == EXPECTED[name]


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_every_key_of_every_stage(name):
    order, heads = SEQUENTIAL[name]
    config = load(name)
    found = {path.name: flatten(run) for path, run in stages.runs(config, pathlib.Path("run")).items()}
    starts = dict(zip(order.split("_")[1:], [f"run/{stage}" for stage in order.split("_")], strict=False))
    expected = {
        stage: STAGES[stage] | {"model.heads": heads, "model.start": starts.get(stage, "")}
        for stage in order.split("_")
    }
    expected["diw"]["name"] = config.name
    assert found == expected
    assert list(found) == order.split("_")


def test_every_configuration_and_every_row_of_the_paper_is_checked():
    files = {path.name for path in CONFIGS.glob("*.py")}
    assert {name.partition(":")[0] for name in [*EXPECTED, *SEQUENTIAL]} == files - {"finetune.py"}
    assert {f"ablations.py:{row}" for row in figures.ROWS} <= EXPECTED.keys() | SEQUENTIAL.keys()


@pytest.mark.parametrize("row", ROWS)
def test_a_row_on_a_small_folder_differs_in_data_budget_and_size_alone(row):
    ours = {"name", "teacher.maps", "teacher.run", "train.epochs", "model.output_bias", "model.output_scale",
            "optim.learning_rate", "optim.schedule", "optim.warmup_epochs"}  # fmt: skip
    whole = load(f"ablations.py:{row}")
    for other in (load(f"ablations.py:{row}_pairs"), load(f"nyuv2_pairs.py:{row}")):
        keys = {line.split(":")[0] for line in differences(whole, other)}
        assert not {key for key in keys - ours if not key.startswith("data.")}


@pytest.mark.parametrize(
    ("name", "rates"),
    [  # by epoch, Sec. 4.1
        ("diw.py", {0: 1e-4, 1: 5e-5, 2: 2.5e-5, 3: 1.25e-5, 4: 6.25e-6}),
        ("kd.py:diw", {0: 1e-4, 1: 5e-5, 2: 2.5e-5, 3: 1.25e-5, 4: 6.25e-6}),
        ("redweb.py", {0: 4e-4, 49: 4e-4, 50: 2e-4, 100: 1e-4, 150: 5e-5, 249: 2.5e-5}),
        ("mannequin.py", {0: 4e-4, 3: 4e-4, 4: 2e-4, 8: 1e-4, 11: 1e-4}),
        ("nyuv2.py", {0: 1e-2, 9: 1e-2, 10: 1e-3, 20: 1e-4, 29: 1e-4}),
    ],
)
def test_learning_rate_of_every_epoch(name, rates):
    config = load(name)
    schedule = make_schedule(config.optim, 7, config.train.epochs)
    for epoch, rate in rates.items():
        for step in (7 * epoch, 7 * epoch + 6):
            assert float(schedule(step)) == pytest.approx(rate)
    assert max(rates) == config.train.epochs - 1


@pytest.mark.usefixtures("optax_promotes")
def test_rebalancing_is_five_times_an_epoch_from_equal_weights():
    config = load("kd.py:diw")
    weights = make_objective(config, Supervision(True, True, True, True)).initial_weights(config.loss.weights.to_dict())
    assert weights == pytest.approx({"ranking": 1 / 3, "pixelwise": 1 / 3, "pairwise": 1 / 3})
    balancer = make_balancer(config, weights, 20)
    state, params, found = balancer.init({}), {}, {}
    for step in range(1, 101):  # the ranking loss falls by 10 % from event to event, the others do not
        losses = {"ranking": 0.9 ** ((step - 1) // 4), "pixelwise": 1.0, "pairwise": 1.0}
        before = state.weights
        _, state = balancer.update(params, state, params, losses=losses)
        if bool((state.weights["ranking"] != before["ranking"]) | (state.previous_total == 0)):
            found[step] = bool(state.weights["ranking"] > before["ranking"])
    # Strengths -3, -1.5, 0, 1.5, 3 by epoch: the loss that falls, an easy one, is held back at first, then emphasized.
    first, last = range(8, 41, 4), range(64, 101, 4)
    events = [step for step in found if step > 4]
    assert events == [*first, *last]
    assert not any(found[step] for step in first)
    assert all(found[step] for step in last)


def test_weights_of_the_terms():
    config = load("ablations.py:table5_ranking_pi_pa_gan")
    objective = make_objective(config, Supervision(True, True, True, True))
    weights = objective.initial_weights(config.loss.weights.to_dict())
    assert weights == pytest.approx({"ranking": 1 / 3.05, "pixelwise": 1 / 3.05, "pairwise": 1 / 3.05,
                                     "holistic": 0.05 / 3.05})  # fmt: skip


@pytest.mark.parametrize(("file", "variant"), [("ablations.py", "table9"), ("ablations.py", "table3_mc_pairs"),
                                              ("sequential.py", "diw_mc"), ("kd.py", "pears"),
                                              ("teacher.py", "pears")])  # fmt: skip
def test_unknown_variants_name_the_known_ones(file, variant):
    with pytest.raises(UserError, match="there are "):
        load_file(CONFIGS / file, variant)
