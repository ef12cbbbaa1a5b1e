r"""Trains the network of a run further, with its own data, losses and schedule: the step after pruning.

    python -m mdepth_jax.train --config configs/finetune.py:RUN --workdir RUN/finetuned

RUN is a run directory, such as `python -m mdepth_jax.prune` leaves. The learning rate is a tenth of the initial one
of RUN, which would destroy what the search has kept. Every key can be replaced as usual: --config.train.epochs=2.
Cost: that of RUN, or less with fewer epochs. Expected: the paper's pruned networks of 1.9M, 1.5M and 1.0M parameters
have 0.1190, 0.1196 and 0.1208 WHDR on DIW, against 0.1156 of the complete one (Table 7).
"""

import pathlib

from ml_collections import ConfigDict

from mdepth_jax.training.run_directory import load_config


def get_config(run: str) -> ConfigDict:
    config = load_config(pathlib.Path(run))
    config.model.update({"start": run, "pretrained": ""})  # ImageNet's weights are behind those of the run
    config.optim.learning_rate *= 0.1
    return config
