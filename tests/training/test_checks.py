import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.training.checks import check_config
from mdepth_jax.training.config import overlay, override


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("rebalance.order", "random", "is 'random'; choose one of 'hard_to_easy', 'easy_to_hard', 'constant', 'off'"),
        ("optim.schedule", "linear", "is 'linear'; choose one of 'staircase', 'cosine'"),
        ("optim.optimizer", "lion", "is 'lion'; choose one of 'adam', 'sgd', 'mtadam'"),
        ("data.crop", "left", "is 'left'; choose one of 'none', 'center', 'random'"),
        ("data.eval_crop", "left", "is 'left'; choose one of 'none', 'eigen'"),
        ("model.encoder", "vgg", "is 'vgg'; choose one of "),
        ("data.batch_size", 0, "is 0; it must be positive"),
        ("train.epochs", -1, "is -1; it must be positive"),
        ("data.root", "", "is empty; name the folder of your data: `config.data.root=DIR`"),
        ("data.jitter", 1.5, "is 1.5; it must be at least 0 and at most 1"),
        ("data.scale", 0.5, "is 0.5; it must be at least 1"),
        ("data.sampled_pairs", -1, "is -1; it must be at least 0"),
        ("loss.drop_easy", 2.0, "is 2.0; it must be at least 0 and below 1"),
        ("loss.drop_easy", 1.0, "is 1.0; it must be at least 0 and below 1"),
        ("loss.weights.l1", -1.0, "is -1.0; it must be at least 0"),
        ("loss.terms", "rank", ": 'rank' is not a term; choose from ranking, "),
        ("loss.terms", "pixelwise+holistic", ": 'holistic' can be negative, .* set `config.rebalance.order=off`"),
        ("loss.terms", "mannequin", ": 'mannequin' compares logarithms of depth; set `config.data.log=1.0`"),
        (
            "loss.terms",
            "ranking+pixelwise",
            ": 'pixelwise' needs a teacher: .*, or leave out what lacks it: `config.loss.terms=ranking`$",
        ),
        (
            "loss.terms",
            "pixelwise",
            ": 'pixelwise' needs a teacher: `config.teacher.maps=True` or `config.teacher.run=DIR`$",
        ),
        ("loss.terms", "pairwise+pixelwise", r": 'pairwise' needs a teacher with features \(cached maps have none\)"),
        (
            "teacher.inverted",
            True,
            "is True, which only a run with a term of the teacher's depth in "
            "`config.loss.terms` reads; set `config.teacher.inverted=False`",
        ),
        ("optim.optimizer", "mtadam", "is 'mtadam', which balances the losses; set `config.rebalance.order=off`"),
        (
            "optim.weight_decay",
            1e-4,
            "is 0.0001, which only a run with `config.optim.optimizer=sgd` reads; set `config.optim.weight_decay=0.0`",
        ),
        (
            "data.eval_crop",
            "eigen",
            "is 'eigen', which only a run with a term of depth maps in `config.loss.terms`, or "
            "`config.train.best_by=rmse` reads; set `config.data.eval_crop=none`",
        ),
        ("data.val", "test", "is 'test', which the run is also trained or tested on; name another split"),
        ("data.val", "train", "is 'train', which the run is also trained or tested on"),
        ("needs", "ranking+imagenet", ": 'imagenet' is unknown; choose from ranking, "),
        ("without", "weights", ": 'weights' is unknown; choose from teacher, pretrained, joined by +"),
    ],
)
def test_refused_values(key, value, message):
    config = overlay(data={"root": "somewhere"})
    check_config(config)
    override(config, key, value)
    with pytest.raises(UserError, match=rf"^`config\.{key}`(?: |){message}"):
        check_config(config)


@pytest.mark.parametrize(
    "groups",
    [
        {"loss": {"terms": "pixelwise+holistic"}, "rebalance": {"order": "off"}},
        {"loss": {"terms": "mannequin"}, "data": {"log": 1.0}},
        {"optim": {"optimizer": "mtadam"}, "rebalance": {"order": "off"}},
        {"optim": {"optimizer": "sgd", "weight_decay": 1e-4}},
    ],
)
def test_the_remedies_help(groups):
    config = overlay(**groups)
    config.data.root, config.teacher.run = "somewhere", "embedded" if "pixelwise" in config.loss.terms else ""
    check_config(config)


@pytest.mark.parametrize("counts", [{}, {"count": 1}, {"eval_count": 1}])
def test_scenes_need_counts(counts):
    with pytest.raises(UserError, match=r"`config\.data\.count` and `config\.data\.eval_count` say how many scenes"):
        check_config(overlay(data={"source": "scenes", **counts}))
