import csv

import jax.numpy as jnp
import numpy as np
import pytest

from mdepth_jax.models.widths import read_widths
from mdepth_jax.pruning.netadapt import Proposal
from mdepth_jax.pruning.summary import next_commands, write_one_shot_summary, write_search_summary
from mdepth_jax.pruning.surgery import keep_first
from tests.pruning.runs import make_small_search

pytestmark = pytest.mark.usefixtures("quick_to_compile")


@pytest.fixture
def search(tmp_path):
    """A search after one iteration, in which nothing was trained."""
    search = make_small_search(tmp_path)
    search.kept = keep_first(search.task.structure, 4)
    search.state = search.state._replace(step=jnp.asarray(1, jnp.int32))
    search.proposals = [
        Proposal(iteration=iteration, group=group, layer=layer, width=4, resource=resource, score=score, seconds=1.5)
        for iteration, group, layer, resource, score in (
            (0, -1, "", 9000.0, 0.25),
            (1, 0, "encoder.layers.0.conv", 8000.0, 0.5),
            (1, 1, "encoder.layers.1.conv", 8200.0, 0.3),
        )
    ]
    return search


def read_rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_what_every_iteration_picked(search, figures):
    text = write_search_summary(search)
    assert (search.workdir / "report.md").read_text() == text
    assert text.startswith("# small, pruned\n")
    assert "whdr 0.2500 -> 0.3000 before the long-term fine-tune; 1 iterations at 64x64" in text
    assert "larger = farther" in text
    initial, picked = read_rows(search.workdir / "iterations.csv")
    assert (initial["params"], initial["whdr"], initial["proposals"]) == ("9000.0", "0.25", "1")
    assert (picked["layer"], picked["params"], picked["proposals"]) == ("encoder.layers.1.conv", "8200.0", "2")
    assert picked["seconds"] == "3.0"
    assert (search.workdir / "tradeoff.png").stat().st_size > 5000
    (line,) = figures["tradeoff.png"].axes[0].lines
    assert line.get_xydata().tolist() == [[9000, 0.25], [8200, 0.3]]


def test_the_widths_of_every_layer(search):
    text = write_one_shot_summary(search.task, search.workdir, search.kept)
    assert text.startswith("# small, pruned without a search\n")
    rows = {row["layer"]: row for row in read_rows(search.workdir / "widths.csv")}
    for name, model in (("before", search.task.model), ("after", search.pruned_model())):
        widths = {layer: (int(row[f"in {name}"]), int(row[f"out {name}"])) for layer, row in rows.items()}
        assert widths == read_widths(model)
    changed = sum(row["out before"] != row["out after"] or row["in before"] != row["in after"] for row in rows.values())
    assert f"{changed} of {len(rows)} layers have other widths" in text


def test_commands_can_be_pasted(tmp_path):
    train, evaluate = next_commands(tmp_path / "my run")
    assert f"--config 'configs/finetune.py:{tmp_path}/my run' --workdir '{tmp_path}/my run/finetuned'" in train
    assert evaluate.endswith(f"--model '{tmp_path}/my run/finetuned'")
    assert np.char.startswith([train, evaluate], "python -m mdepth_jax.").all()
