import jax
import numpy as np
import pytest

from mdepth_jax.pruning.surgery import keep_all, keep_first, variable_masks
from tests.pruning.runs import make_small_task, make_small_trainer

pytestmark = pytest.mark.usefixtures("quick_to_compile")


@pytest.fixture(scope="module")
def trainer(quick_to_compile):
    return make_small_trainer(make_small_task())


def test_removed_channels_stay_zero_and_all_others_are_trained(trainer):
    kept = keep_first(trainer.structure, 4)
    before = named_tensors_of(trainer.initial_params)
    params, _ = trainer.fine_tune(trainer.initial_params, trainer.initial_batch_stats, kept, trainer.load_batches(0))
    masks, changed = variable_masks(trainer.structure, kept), []
    for name, value in named_tensors_of(params).items():
        assert not value[~masks[name]].any()
        changed.append((value != before[name])[masks[name]].mean())
        np.testing.assert_array_equal(named_tensors_of(trainer.initial_params)[name], before[name])
    assert np.mean(changed) > 0.9


def named_tensors_of(params):
    return {".".join(map(str, path)): np.asarray(value[...]) for path, value in params.flat_state()}


def test_every_iteration_has_batches_of_its_own(trainer):
    first, second = trainer.load_batches(0), trainer.load_batches(1)
    assert len(first) == len(second) == trainer.settings.short_steps
    images = [np.asarray(batch["image"]) for batch in (*first, *second)]
    assert len({image.tobytes() for image in images}) == 4
    np.testing.assert_array_equal(trainer.load_batches(1)[0]["image"], images[2])


def test_as_many_held_out_batches_as_the_settings_say(trainer):
    state = trainer.initial_params, trainer.initial_batch_stats
    everything = trainer.evaluate(*state)
    trainer.settings = make_small_task(evaluation_batches=1).settings
    part = trainer.evaluate(*state)
    assert 0 < part.total < everything.total


def test_nothing_removed_and_no_steps_change_nothing(trainer):
    state = trainer.initial_params, trainer.initial_batch_stats
    for before, after in zip(state, trainer.fine_tune(*state, keep_all(trainer.structure), []), strict=True):
        jax.tree.map(np.testing.assert_array_equal, before, after)
