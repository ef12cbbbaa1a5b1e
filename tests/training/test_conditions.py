"""Every key of a configuration changes something that can be measured, or is refused."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from mdepth_jax import plots
from mdepth_jax.data.pairs import ImagePairs, write_pairs
from mdepth_jax.errors import UserError
from mdepth_jax.models import Header, build_model, default_config
from mdepth_jax.models.encoders import ENCODERS
from mdepth_jax.models.layers import Conv
from mdepth_jax.models.weights import save_weights
from mdepth_jax.training import adversary
from mdepth_jax.training.config import check_read, lookup, overlay, override
from mdepth_jax.training.recipe import settle_config
from mdepth_jax.training.schema import KEYS
from tests.models.test_depth_net import SmallEncoder
from tests.training.probes import (
    compute_losses,
    draw_network,
    load_data,
    load_teacher,
    predict,
    settle,
    shape_network,
    train,
    train_discriminator,
    update,
    weigh_losses,
)

pytestmark = pytest.mark.usefixtures("optax_promotes")
HEIGHT, WIDTH = 480, 640  # of the photographs: NYUv2's, for its crop


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four images with three pairs each, depth and a teacher's maps; a teacher; weights to start from."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    entries = []
    for number in range(4):
        maps = {"images": (60, 80, 3), "depth": (HEIGHT, WIDTH), "teacher": (60, 80)}
        for kind, shape in maps.items():
            (root / kind).mkdir(exist_ok=True)
            values = rng.integers(1, 60000 if kind == "depth" else 255, shape)
            Image.fromarray(values.astype(np.uint16 if kind == "depth" else np.uint8)).save(
                root / kind / f"{number}.png"
            )
        points = np.stack([rng.integers(0, 60, (3, 2)), rng.integers(0, 80, (3, 2))], axis=-1).astype(np.int32)
        entries.append(ImagePairs(f"images/{number}.png", points, np.array([1, -1, 1], np.int32), (60, 80), 0))
    for split, some in {"train": entries, "test": entries[:2], "other": entries[1:3]}.items():
        write_pairs(root / f"pairs_{split}.csv", some)
    return root


@pytest.fixture(scope="module", autouse=True)
def small_networks():
    """The default encoder and the discriminator have few layers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adversary, "Discriminator", lambda rngs: Conv(4, 1, 1, 1, rngs=rngs))
        patch.setitem(ENCODERS, "mobilenet_v2", lambda width, padding, *, rngs: SmallEncoder(rngs))
        patch.setattr(plots, "save_curves", lambda path, records: None)
        yield


@dataclasses.dataclass(frozen=True)
class Probe:
    """How to see that a key is read.

    Attributes:
        value: Value that differs from the default.
        measure: Function of a configuration and a new folder.
        groups: Groups of the configuration in which the key is read.
    """

    value: object
    measure: object
    groups: dict = dataclasses.field(default_factory=dict)


KD = {"loss": {"terms": "ranking+pixelwise+pairwise"}}
DENSE, MAPS = {"loss": {"terms": "dense"}}, {"loss": {"terms": "pixelwise"}, "teacher": {"maps": True}}
SCENES = {"data": {"source": "scenes", "count": 4, "eval_count": 2}}
SGD = {"optim": {"optimizer": "sgd"}}
BALANCED = KD | {"rebalance": {"order": "hard_to_easy"}}
HOLISTIC = {"loss": {"terms": "ranking+pixelwise+holistic"}}
LONG = {"train": {"epochs": 3}}


def with_terms(terms):
    return {"loss": {"terms": terms}}


PROBES = {
    "name": Probe("other", train),
    "seed": Probe(1, draw_network),
    "needs": Probe("ranking+pretrained", settle, {"without": "pretrained"}),
    "without": Probe("teacher", settle, KD | {"teacher": {"run": "embedded"}}),
    "model.encoder": Probe("mobilenet_v1", shape_network),
    "model.width": Probe(0.5, shape_network, {"model": {"encoder": "mobilenet_v1"}}),
    "model.norm_epsilon": Probe(0.1, predict),
    "model.preprocessing": Probe("torchvision", predict),
    "model.decoder": Probe("nnconv5", shape_network, {"model": {"heads": 0}}),
    "model.kernel": Probe(3, shape_network),
    "model.expansion": Probe(3.0, shape_network),
    "model.fusion": Probe("add", shape_network),
    "model.last_layer": Probe("block", shape_network),
    "model.heads": Probe(1, shape_network),
    "model.output_bias": Probe(2.0, draw_network),
    "model.output_scale": Probe(0.5, draw_network),
    "model.dtype": Probe("bfloat16", draw_network),
    "model.widths": Probe(("encoder.layers.5.conv 12 20",), draw_network, {"model": {"heads": 0}}),
    "model.pretrained": Probe("nowhere.npz", draw_network),
    "model.start": Probe("START", draw_network),
    "data.source": Probe("scenes", load_data, {"data": {"count": 4, "eval_count": 2}}),
    "data.root": Probe("nowhere", load_data),
    "data.train": Probe("other", load_data),
    "data.val": Probe("other", load_data),
    "data.val_share": Probe(0.5, load_data),
    "data.val_seed": Probe(1, load_data, {"data": {"val_share": 0.5}}),
    "data.eval": Probe("other", load_data),
    "data.unlabelled": Probe("ROOT", load_data, MAPS),
    "data.count": Probe(8, load_data, SCENES),
    "data.eval_count": Probe(3, load_data, SCENES),
    "data.height": Probe(64, load_data),
    "data.width": Probe(64, load_data),
    "data.batch_size": Probe(4, load_data),
    "data.pairs": Probe(1, load_data),
    "data.sampled_pairs": Probe(5, load_data),
    "data.eval_pairs": Probe(2, load_data, SCENES),
    "data.scale": Probe(2.0, load_data),
    "data.rotation": Probe(45.0, load_data),
    "data.crop": Probe("center", load_data),
    "data.flip": Probe(True, load_data),
    "data.jitter": Probe(0.5, load_data),
    "data.map_scale": Probe(0.01, load_data, MAPS),
    "data.depth_scale": Probe(0.01, load_data, DENSE),
    "data.eval_crop": Probe("eigen", load_data, DENSE),
    "data.log": Probe(2.0, load_data, DENSE),
    "teacher.maps": Probe(True, load_data, with_terms("pixelwise")),
    "teacher.run": Probe("embedded", load_teacher, with_terms("pixelwise")),
    "teacher.inverted": Probe(True, load_data, MAPS),
    "loss.terms": Probe("pixelwise", compute_losses),
    **{f"loss.weights.{name}": Probe(0.5, weigh_losses, with_terms(f"{name}+dense"))
       for name in ("ranking", "improved_ranking", "pixelwise", "pairwise", "holistic", "affine", "gradient_matching",
                    "l1", "mannequin")},
    "loss.weights.dense": Probe(0.5, weigh_losses, with_terms("ranking+dense")),
    "loss.pool_scale": Probe(0.25, compute_losses, KD),
    "loss.drop_easy": Probe(0.5, compute_losses, with_terms("improved_ranking")),
    "loss.trim": Probe(0.2, compute_losses, with_terms("affine")),
    "discriminator.learning_rate": Probe(1e-2, train_discriminator, HOLISTIC),
    "discriminator.update_every": Probe(3, train_discriminator, HOLISTIC),
    "rebalance.order": Probe("easy_to_hard", update, BALANCED),
    "rebalance.strength": Probe(1.0, update, BALANCED),
    "rebalance.events_per_epoch": Probe(2, update, BALANCED),
    "rebalance.weight_initialization": Probe(True, update, BALANCED),
    "rebalance.fixed_intermediate": Probe(False, compute_losses),
    "optim.optimizer": Probe("sgd", update),
    "optim.momentum": Probe(0.5, update, SGD),
    "optim.weight_decay": Probe(0.1, update, SGD),
    "optim.learning_rate": Probe(1e-2, update),
    "optim.schedule": Probe("cosine", update),
    "optim.decay_rate": Probe(0.1, update, LONG),
    "optim.decay_every_epochs": Probe(2.0, update, LONG),
    "optim.warmup_epochs": Probe(1.0, update),
    "train.epochs": Probe(3, train),
    "train.log_every": Probe(1, train),
    "train.evaluations_per_epoch": Probe(2, train),
    "train.best_by": Probe("rmse", load_data),
    "train.save_minutes": Probe(0.0, train, {"train": {"log_every": 1}}),
}  # fmt: skip


def make_config(folder, groups):
    """A run on tiny data, without a validation set, with the given groups."""
    config = overlay(loss={"terms": "ranking"}, train={"epochs": 2, "log_every": 2}, rebalance={"order": "off"})
    for group, values in groups.items():
        override(config, group, values)
    if config.data.source == "folder":
        config.data.root = str(folder)
    override(config, "data", {"height": 32, "width": 32, "batch_size": 2})
    return config


def observe(probe, config, path):
    """Measures a configuration; a mistake that shows is something measured, too."""
    try:
        return probe.measure(config, path)
    except UserError as error:
        return str(error)


def is_equal(ours, theirs):
    left, right = jax.tree.flatten(ours), jax.tree.flatten(theirs)
    if left[1] != right[1]:
        return False
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(left[0], right[0], strict=True)]
    return all(a.shape == b.shape and a.dtype == b.dtype and (a == b)[~((a != a) & (b != b))].all() for a, b in pairs)


@pytest.mark.parametrize("name", KEYS)
def test_every_key_changes_something(name, folder, tmp_path):
    probe = PROBES[name]
    value = {"ROOT": str(folder), "START": str(tmp_path / "start.safetensors")}.get(probe.value, probe.value)
    if name == "model.start":
        model = build_model(default_config(), rngs=nnx.Rngs(5))
        save_weights(tmp_path / "start.safetensors", model, default_config(), Header(), heads=True)
    config, changed = make_config(folder, probe.groups), make_config(folder, probe.groups)
    override(changed, name, value)
    if name == "data.source":
        changed.data.root = ""
    assert lookup(changed, name) != lookup(config, name)
    check_read(changed)
    first = measure_once(probe, config, tmp_path / "a")
    assert not isinstance(first, str), first
    assert not is_equal(first, observe(probe, changed, tmp_path / "b"))


MEASURED = {}


def measure_once(probe, config, path):
    """Measures a configuration from which several keys depart."""
    key = probe.measure.__name__, config.to_json_best_effort()
    if key not in MEASURED:
        MEASURED[key] = observe(probe, config, path)
    return MEASURED[key]


@pytest.mark.parametrize("measure", dict.fromkeys(probe.measure for probe in PROBES.values()))
def test_what_is_measured_depends_on_the_configuration_alone(measure, folder, tmp_path):
    probe = next(probe for probe in PROBES.values() if probe.measure is measure)
    config = make_config(folder, probe.groups)
    assert is_equal(measure_once(probe, config, tmp_path / "a"), observe(probe, config, tmp_path / "b"))


# Configurations in which some keys are not read.
IDLE = (
    {},
    SCENES,
    {"data": {"val": "other"}},
    {"data": {"sampled_pairs": 3}},
    {"data": {"val_share": 0.0}},
    {"model": {"decoder": "redweb", "heads": 0}},
    {"model": {"start": "RUN"}},
    {"model": {"heads": 0}},
    {"optim": {"schedule": "cosine"}},
    MAPS,
)


@pytest.mark.parametrize("name", [name for name, key in KEYS.items() if key.read_if])
def test_a_key_that_is_not_read_is_refused(name, folder):
    key = KEYS[name]
    config = next(config for groups in IDLE if not key.read_if.holds(config := make_config(folder, groups)))
    settle_config(config)
    assert lookup(config, name) in (key.default, key.idle)
    override(config, name, PROBES[name].value)
    with pytest.raises(
        UserError, match=rf"^`config\.{name}` is .*, which only a run with .* reads; set `config\.{name}="
    ):
        settle_config(config, {name})
    with pytest.raises(UserError, match=rf"^`config\.{name}` is "):
        check_read(config)


def test_a_condition_names_keys_that_there_are():
    for key in KEYS.values():
        assert key.read_if is None or set(key.read_if.keys) <= KEYS.keys()
