import itertools
import json
import os
import signal

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax import plots
from mdepth_jax.data.images import read_image
from mdepth_jax.data.types import DataSetInfo
from mdepth_jax.errors import UserError
from mdepth_jax.models import build_model
from mdepth_jax.models.weights import load_weights, named_tensors, start_from
from mdepth_jax.training.loop import Trainer
from tests.models.test_depth_net import build_small
from tests.training.batches import random_batch

pytestmark = pytest.mark.usefixtures("optax_promotes")


def deterministic(records):
    return [{key: value for key, value in record.items() if not key.startswith("time/")} for record in records]


@pytest.fixture
def make(config, model, objective, monkeypatch):
    """Makes the trainer of a small run in a directory, which draws no curves: they take longer than its steps."""
    monkeypatch.setattr(plots, "save_curves", lambda path, records: None)
    return lambda workdir, data: Trainer(config=config, workdir=workdir, model=model, objective=objective, data=data)


def check_pictures(grid, evaluation, curves, records):
    """Image, prediction and true depth of each image of the first test batch; every record is a point of a curve."""
    batch = random_batch(2000)
    for row, cells in enumerate(np.split(grid, 4)):
        image, prediction, reference = np.split(cells, 3, axis=1)
        np.testing.assert_array_equal(image, batch["image"][row])
        np.testing.assert_array_equal(prediction, plots.colorize(evaluation.predictions[row, ..., 0]))
        np.testing.assert_array_equal(reference, plots.colorize(batch["depth"][row, ..., 0]))
    for group, axis in zip(("loss", "weight", "val"), curves.axes, strict=True):
        assert axis.lines
        for line in axis.lines:
            key = f"{group}/{line.get_label()}"
            assert line.get_xydata().tolist() == [[record["step"], record[key]] for record in records if key in record]


def test_a_run_leaves_what_a_user_wants(config, objective, data, tmp_path, figures):
    """The network is that of the configuration, which the header of the weights states."""
    data = data._replace(train_sets=(DataSetInfo(name="noise"),))
    model = build_model(config.model, rngs=nnx.Rngs(0))
    model.set_attributes(implementation="lax")
    result = Trainer(config=config, workdir=tmp_path, model=model, objective=objective, data=data).run()
    assert result.finished
    assert result.step == 8
    assert result.evaluation.total == random_batch(2000)["valid"].sum()
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [2, 4, 4, 6, 8, 8, 8]
    assert records == result.records
    assert {"loss/ranking", "weight/dense", "learning_rate", "time/data_wait"} <= records[0].keys()
    assert [record["learning_rate"] for record in records if "total" in record] == pytest.approx(
        [1e-3] * 2 + [5e-4] * 2
    )
    check_pictures(read_image(tmp_path / "predictions.png"), result.evaluation, figures["curves.png"], records)
    assert list((tmp_path / "tensorboard").iterdir())
    weights = load_weights(tmp_path)
    loaded = weights.model
    assert weights.header.run.data == (DataSetInfo(name="noise"),)
    assert weights.header.step == min((r["val/whdr"], r["step"]) for r in records if "val/whdr" in r)[1]
    assert weights.header.values["whdr"] == records[-1]["test/whdr"]
    assert weights.header.scores["whdr"].split == "test"
    assert not loaded(jnp.asarray(random_batch(0)["image"])).auxiliary


def test_the_next_run_starts_with_the_heads_of_the_best_step(config, model, make, data, tmp_path):
    config.train.epochs = 1
    trainer = make(tmp_path, data)
    trainer.run()
    assert start_from(model, tmp_path).new_heads == 0
    started = named_tensors(model)
    assert any(name.startswith("decoder.heads.1.") for name in started)
    for name, variable in named_tensors(trainer.model).items():
        np.testing.assert_array_equal(started[name][...], variable[...])


def test_interrupt_saves_and_the_next_run_equals_an_unbroken_one(config, make, data, tmp_path):
    whole = make(tmp_path / "whole", data).run()

    def interrupted(start):
        for step in itertools.count(start):
            if step == 5:
                os.kill(os.getpid(), signal.SIGTERM)
            yield random_batch(step)

    first = make(tmp_path / "broken", data._replace(train=interrupted)).run()
    assert not first.finished
    assert first.step == 6
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    again = make(tmp_path / "broken", data)
    assert again.step == 6
    second = again.run()
    assert second.finished
    assert deterministic(second.records) == deterministic(whole.records)


def test_nan_names_the_step_and_keeps_the_last_good_checkpoint(config, make, data, tmp_path):
    def poisoned(start):
        for step in itertools.count(start):
            batch = random_batch(step)
            if step == 6:
                batch["depth"][:] = np.inf
                batch["depth"][1] = 3e38
            yield batch

    with pytest.raises(UserError, match=r"step 7: .*not finite; checkpoint 4 is kept"):
        make(tmp_path, data._replace(train=poisoned)).run()
    again = make(tmp_path, data)
    assert again.step == 4
    assert again.run().finished


def test_best_by_what_the_held_out_set_lacks(config, make, data, tmp_path):
    config.train.best_by = "rmse"
    with pytest.raises(UserError, match="best_by` is 'rmse', but the validation set has no depth maps; choose whdr"):
        make(tmp_path, data).run()


def test_batch_that_devices_cannot_share(config, make, data, tmp_path):
    config.data.batch_size = 3
    with pytest.raises(UserError, match="batch_size` is 3, which 2 devices cannot share"):
        make(tmp_path, data)


def test_time_based_saves_keep_the_latest_two(config, make, data, tmp_path):
    """Not the best, which an earlier one of the eight evaluations gives."""
    config.train.save_minutes, config.train.evaluations_per_epoch = 0.0, 4
    make(tmp_path, data._replace(steps_per_epoch=8)).run()
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["14", "16"]


def test_the_test_set_is_read_once_with_the_weights_that_the_validation_set_chose(config, make, data, tmp_path):
    """Also after a kill between the training and the test."""
    read = []

    def test_batches():
        read.append(1)
        return [random_batch(2000)]

    data = data._replace(test=data.test._replace(batches=test_batches))
    config.train.evaluations_per_epoch = 4
    whole = make(tmp_path / "whole", data)
    records = whole.run().records
    assert len(read) == 1
    best = min((r["val/whdr"], r["step"]) for r in records if "val/whdr" in r)[1]
    kept = build_small(heads=2)
    header = start_from(kept, tmp_path / "whole").header
    assert header.step == best
    expected = whole._score(*nnx.split(kept, nnx.Param, nnx.BatchStat)[1:], data.test)
    assert records[-1]["test/whdr"] == expected.whdr == header.values["whdr"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_test", lambda self: None)
        assert not make(tmp_path / "broken", data).run().finished
    again = make(tmp_path / "broken", data).run()
    assert again.finished
    assert deterministic(again.records) == deterministic(records)


def test_without_a_validation_set_the_last_weights_are_kept(model, make, data, tmp_path):
    trainer = make(tmp_path, data._replace(val=None))
    result = trainer.run()
    assert not any(name.startswith("val/") for record in result.records for name in record)
    assert start_from(model, tmp_path).header.step == 8
    for name, variable in named_tensors(trainer.model).items():
        np.testing.assert_array_equal(named_tensors(model)[name][...], variable[...])
    assert result.records[-1].keys() == {"step", "test/whdr"}
