import pathlib

import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.models import TrainingRun
from mdepth_jax.training.config import overlay
from mdepth_jax.training.recipe import check_recipe, describe_lacks, find_lacks, settle_config
from mdepth_jax.training.stages import check_runs, load_file, runs

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"
FILES = ("diw.py", "redweb.py", "mannequin.py", "nyuv2.py")
TEACHER = {"teacher": {"run": "RUN"}}
WEIGHTS = {"model": {"pretrained": "FILE"}}


def load(name, **groups):
    """Loads a configuration with some keys given as on the command line, and checks it as training does."""
    file, _, variant = name.partition(":")
    config = load_file(CONFIGS / file, variant)
    given = []
    for key, value in groups.items():
        for part, inner in value.items() if isinstance(value, dict) else [("", value)]:
            given.append(f"{key}.{part}".removesuffix("."))
            config.update_from_flattened_dict({given[-1]: inner})
    if config.data.source == "folder":
        config.data.root = config.data.root or "DIR"
    [run] = runs(config, pathlib.Path("run")).values()
    check_runs({pathlib.Path("run"): run}, given)
    return run


@pytest.mark.parametrize("name", FILES)
def test_a_row_of_one_data_set_needs_its_weights(name):
    with pytest.raises(UserError, match=r"`config\.model\.pretrained=FILE`, or .* `config\.without=pretrained`$"):
        load(name)
    assert find_lacks([TrainingRun(config=load(name, **WEIGHTS).to_dict())]) == ()
    assert find_lacks([TrainingRun(config=load(name, without="pretrained").to_dict())]) == ("pretrained",)
    with pytest.raises(UserError, match=r"`config\.model\.pretrained` is 'FILE'; leave out one of them"):
        load(name, without="pretrained", **WEIGHTS)


@pytest.mark.parametrize(
    "name",
    ["kd.py:diw", *(f"ablations.py:table{row}" for row in ("4_kd_1ip", "5_ranking_pi_pa_gan", "6_mtadam_pairs"))],
)
def test_a_row_of_distillation_needs_a_live_teacher_and_weights(name):
    with pytest.raises(UserError, match=r"'pairwise' needs .* `config\.teacher\.run=DIR`.*`config\.without=teacher`"):
        load(name, **WEIGHTS)
    with pytest.raises(UserError, match=r"'pairwise' needs a teacher with features"):
        load(name, teacher={"maps": True}, **WEIGHTS)
    with pytest.raises(UserError, match=r"`config\.model\.pretrained=FILE`"):
        load(name, **TEACHER)
    assert find_lacks([TrainingRun(config=load(name, **TEACHER, **WEIGHTS).to_dict())]) == ()


def test_without_the_teacher_its_terms_are_left_out_and_reported():
    run = load("kd.py:diw", without="teacher+pretrained")
    assert (run.loss.terms, run.teacher.run) == ("ranking", "")
    lacks = find_lacks([TrainingRun(config=run.to_dict())])
    assert lacks == ("pixelwise", "pairwise", "pretrained")
    assert describe_lacks(lacks) == "pixelwise, pairwise, pretrained weights"
    pairs = load("nyuv2_pairs.py", without="teacher", **WEIGHTS)  # its teachers are the file's own
    assert (pairs.loss.terms, pairs.teacher.run, pairs.teacher.maps) == ("ranking", "", False)
    with pytest.raises(UserError, match=r"`config\.teacher\.run` is 'RUN', which only a run with "):
        load("kd.py:diw", without="teacher", **TEACHER, **WEIGHTS)
    with pytest.raises(UserError, match="leaves nothing to learn from"):
        load("ablations.py:table5_pi_only", without="teacher", **WEIGHTS)
    with pytest.raises(UserError, match="names the teacher, which this configuration has no use for"):
        load("diw.py", without="teacher", **WEIGHTS)


def test_terms_that_are_replaced_are_lacked_as_well():
    run = load("kd.py:diw", loss={"terms": "ranking+pixelwise"}, **TEACHER, **WEIGHTS)
    assert find_lacks([TrainingRun(config=run.to_dict())]) == ("pairwise",)


def test_a_teacher_that_no_term_reads_is_dropped():
    run = load("kd.py", loss={"terms": "ranking"})
    assert run.teacher.run == ""
    run = load("kd.py:pairs", loss={"terms": "ranking"})
    assert (run.teacher.maps, run.loss.weights.ranking, run.rebalance.strength) == (False, 1.0, 3.0)
    with pytest.raises(UserError, match=r"^`config\.teacher\.run` is 'RUN', which only a run with a term of "):
        load("kd.py:pairs", loss={"terms": "ranking"}, **TEACHER)


def test_values_that_a_flag_makes_useless_are_dropped_but_not_those_that_are_given():
    run = load("nyuv2.py", optim={"optimizer": "adam"}, **WEIGHTS)
    assert (run.optim.momentum, run.optim.weight_decay) == (0.9, 0.0)
    with pytest.raises(UserError, match=r"^`config\.optim\.momentum` is 0\.8, which only .*optimizer=sgd` reads"):
        load("nyuv2.py", optim={"optimizer": "adam", "momentum": 0.8}, **WEIGHTS)
    config = overlay(optim={"weight_decay": 0.1})  # the mistake of a file
    with pytest.raises(UserError, match=r"^`config\.optim\.weight_decay` is 0\.1"):
        settle_config(config, {"loss.terms"})


def test_later_runs_have_the_weights_of_the_one_before():
    """Stages, fine-tuned and pruned runs need no weights of ImageNet, but what the first run lacked stays lacking."""
    config = load_file(CONFIGS / "sequential.py", "redweb_diw")
    for stage in config.stages.values():
        stage.data.root = "DIR"
    with pytest.raises(UserError, match=r"stage redweb, .*: redweb repeats .*`config\.without=pretrained`"):
        check_runs(runs(config, pathlib.Path("run")))
    config.stages.redweb.without = "pretrained"
    stages = list(runs(config, pathlib.Path("run")).values())
    check_runs(dict(zip([pathlib.Path("run/redweb"), pathlib.Path("run/diw")], stages, strict=True)))
    lineage = [TrainingRun(config=stage.to_dict()) for stage in stages]
    assert find_lacks(lineage) == find_lacks(lineage[:1]) == ("pretrained",)
    config.stages.redweb.without, config.stages.redweb.model.pretrained = "", "FILE"
    assert find_lacks([TrainingRun(config=stage.to_dict()) for stage in stages]) == ()
    pruned = overlay(name="diw_pruned", needs="ranking+pretrained", loss={"terms": "ranking"}, model={"heads": 0})
    pruned.model.widths = (("layer", 1, 2),)
    check_recipe(pruned)
    assert find_lacks([TrainingRun(config=pruned.to_dict())]) == ()


def test_a_run_of_an_earlier_version_has_no_recipe():
    config = overlay(name="kd_diw").to_dict()
    del config["needs"], config["without"]
    assert find_lacks([TrainingRun(config=config)]) == find_lacks([TrainingRun()]) == find_lacks([]) == ()
