"""Trains a run's network on, with the data, losses and schedule of its own configuration: what follows pruning.

python -m mdepth_jax.train --config configs/finetune.py:RUN --workdir RUN/finetuned

RUN is a run directory, such as `python -m mdepth_jax.prune` leaves. The learning rate is a tenth of the one that RUN
began with, which would undo what the search has kept. Every key can be replaced as usual: --config.train.epochs=2.
The paper's pruned networks of 1.9M, 1.5M and 1.0M parameters have 0.1190, 0.1196 and 0.1208 WHDR on DIW after it,
against 0.1156 of the whole one (Table 7).
"""

import pathlib

from mdepth_jax.training.run_directory import load_config


def get_config(run):
    config = load_config(pathlib.Path(run))
    config.model.update({"start": run, "pretrained": ""})
    config.optim.learning_rate *= 0.1
    return config
