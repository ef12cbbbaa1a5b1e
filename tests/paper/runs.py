"""Finished runs as training leaves them."""

import json
import shutil

from mdepth_jax.models import TEACHERS
from mdepth_jax.training.config import overlay


def write_run(directory, *, name, seed=0, whdr=0.3, epochs=1):
    """Writes a run with two evaluations, the last of which counts; its weights are those of the embedded teacher."""
    directory.mkdir()
    config = overlay(name=name, seed=seed, train={"epochs": epochs})
    (directory / "config.json").write_text(json.dumps(config.to_dict()))
    records = [
        {"step": 1, "total": 1.0, "weight/ranking": 0.5, "loss/ranking": 0.7},
        {"step": 1, "eval/whdr": 0.01},
        {"step": 2, "total": 0.9, "weight/ranking": 0.6, "loss/ranking": 0.6},
        {"step": 2, "eval/whdr": whdr},
    ]
    (directory / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    shutil.copy(TEACHERS["embedded"], directory / "model.safetensors")
    return directory


def write_evaluation(directory, metric, **scores):
    """Writes an evaluation on another data set, as `evaluate --json` does."""
    path = directory / "evaluations" / f"{metric}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(scores))
