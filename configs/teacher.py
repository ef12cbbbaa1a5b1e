r"""A network trained densely on depth maps: a teacher that has features.

On the embedded scenes; `mdepth_jax.models.weights.export_weights(run, file)` made the embedded teacher of this run.
Cost: 2400 steps of batch 8 at 96x128. Expected: WHDR 0.26 on the test scenes:

    python -m mdepth_jax.train --config configs/teacher.py

On a folder with depth maps in DIR/depth/, and / or cached maps in DIR/teacher/ (without pairs, add
--config.train.best_by=rmse). Cost: 20 epochs. Expected: depends on the data:

    python -m mdepth_jax.train --config configs/teacher.py:folder --config.data.root=DIR \
        --config.model.pretrained=mobilenet_v2.npz [--config.teacher.maps=True --config.loss.terms=dense+pixelwise]
"""

from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.training.config import overlay


def get_config(variant: str = "") -> ConfigDict:
    if variant == "":
        return overlay(
            name="teacher",
            model={"output_bias": 6.0, "output_scale": 0.01},  # the mean of the maps
            data={
                "source": "scenes", "count": 9600, "eval_count": 200, "eval_pairs": 10,
                "height": 96, "width": 128, "batch_size": 8, "flip": True, "log": 4.0,
            },
            loss={"terms": "dense"},
            rebalance={"order": "off"},
            optim={"learning_rate": 2e-3, "schedule": "cosine", "warmup_epochs": 0.1},
            train={"epochs": 2, "log_every": 20, "evaluations_per_epoch": 5},
        )  # fmt: skip
    if variant == "folder":
        return overlay(
            name="teacher_folder",
            model={"output_scale": 0.01},
            data={"height": 192, "width": 256, "batch_size": 8, "log": 4.0, "flip": True},
            loss={"terms": "dense"},
            rebalance={"order": "off"},
            optim={"learning_rate": 1e-3, "schedule": "cosine", "warmup_epochs": 0.5},
            train={"epochs": 20},
        )  # fmt: skip
    raise UserError(f"configs/teacher.py has no variant {variant!r}; there are folder and none")
