import json

import safetensors

from mdepth_jax.models import Header, TrainingRun
from mdepth_jax.models.score import make_scores
from mdepth_jax.models.widths import describe
from mdepth_jax.pruning.pruned_run import save_pruned_run
from mdepth_jax.pruning.surgery import keep_first, remove_channels
from tests.pruning.runs import make_small_task


def read_header(path):
    with safetensors.safe_open(path, "numpy") as file:
        return Header.from_json(file.metadata()["about"])


def test_configuration_and_header_of_a_network_that_is_pruned_twice(tmp_path):
    task = make_small_task()
    config = task.run_config.copy_and_resolve_references()
    config.model.pretrained = "weights.npz"
    smaller = remove_channels(task.model, task.structure, keep_first(task.structure, 4))
    earlier = [TrainingRun("train", config.to_dict())]
    for scores in (None, Header(scores=make_scores({"whdr": 0.25}, pairs=12))):
        save_pruned_run(tmp_path, smaller, config=config, earlier=earlier, scores=scores)
        config = config.copy_and_resolve_references()
        config.update(json.loads((tmp_path / "config.json").read_text()))
        assert config.name == "small_pruned"
        assert config.model.widths == describe(smaller)
        assert (config.model.heads, config.model.pretrained, config.model.start) == (0, "", "")
    header = read_header(tmp_path / "model.safetensors")
    assert header.run.config["name"] == "small_pruned"
    assert [run.command for run in header.earlier] == ["train"]
    assert (header.values, header.pairs) == ({"whdr": 0.25}, 12)
    assert "larger = farther" in header.output
