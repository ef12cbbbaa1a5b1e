"""Finished runs as training leaves them."""

import dataclasses
import json
import pathlib

import safetensors
import safetensors.numpy

from mdepth_jax.data.about import KNOWN_SETS
from mdepth_jax.data.types import DataSetInfo
from mdepth_jax.files import hash_file
from mdepth_jax.models import TEACHERS, Header
from mdepth_jax.models.score import Protocol, make_scores, write_scores
from mdepth_jax.paper.runs import Run
from mdepth_jax.training.config import overlay

WHOLE = Protocol("whole", "none", "none", 224, 448)


def score(metric, value, data="", split="test", **changes):
    """Returns a score by the paper's protocol for a relative network at 224x448, with 100 pairs or maps at step 2."""
    info = KNOWN_SETS.get(data, DataSetInfo(name=data))
    crop = "eigen" if metric in ("rmse", "delta1") else "none"
    protocol = WHOLE if metric == "whdr" else Protocol("whole", crop, "nyu", 224, 448)
    options = {"pairs": 100, "depth_maps": 100, "step": 2, "weights": "1234567890"}
    [made] = make_scores({metric: value}, data=info, split=split, ordinal=protocol, dense=protocol, **options).values()
    return dataclasses.replace(made, **changes)


def make_run(name, scores=(), *, seed=0, parameters=2_580_225, timings=(), lacks=(), **groups):
    """Returns a run as `read_run` does."""
    return Run(
        directory=pathlib.Path(f"{name}{seed}"),
        config=overlay(name=name, seed=seed, **groups),
        scores=list(scores),
        parameters=parameters,
        weights="1234567890",
        timings=timings,
        lacks=lacks,
    )


def write_run(directory, *, name, seed=0, scores=None, **groups):
    """Writes a run; its weights are those of the embedded teacher, with the given scores by metric."""
    directory.mkdir()
    config = overlay(name=name, seed=seed, **groups)
    (directory / "config.json").write_text(json.dumps(config.to_dict()))
    records = [
        {"step": 1, "total": 1.0, "weight/ranking": 0.5, "loss/ranking": 0.7},
        {"step": 2, "total": 0.9, "weight/ranking": 0.6, "loss/ranking": 0.6},
        {"step": 2, "test/whdr": 0.3},
    ]
    (directory / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    scores = {name: dataclasses.replace(part, weights="") for name, part in (scores or {}).items()}
    with safetensors.safe_open(TEACHERS["embedded"], "numpy") as file:
        metadata = file.metadata() | {"about": Header(scores=scores, step=2).to_json()}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    safetensors.numpy.save_file(tensors, directory / "model.safetensors", metadata=metadata)
    return directory


def write_evaluation(directory, name, *scores, weights=None):
    """Writes an evaluation as `evaluate --json` does; of the run's weights if no others are given."""
    path = directory / "evaluations" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    weights = hash_file(directory / "model.safetensors") if weights is None else weights
    full = write_scores({part.metric: dataclasses.replace(part, weights=weights) for part in scores})
    path.write_text(json.dumps({part.metric: part.value for part in scores} | {"scores": full}))
