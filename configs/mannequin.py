r"""The loss of Eq. 1 on the Mannequin Challenge; the network predicts the logarithm of depth.

    python -m mdepth_jax.train --config configs/mannequin.py --config.data.root=DIR --config.model.pretrained=FILE

DIR is what `python -m mdepth_jax.prepare mannequin` wrote. Batch 16, Adam 4e-4 halved every 4th epoch; rotation,
flips and random crops of 224x224 (Sec. 4.1). The paper resizes, then crops at random: `scale` stands for that. The
angle is ours, the paper names none. Cost: 12 epochs. Expected: SI-RMSE 0.1097 (Table 3, "MC"), which also chooses the
best weights.
"""

from ml_collections import ConfigDict

from mdepth_jax.training.config import overlay


def get_config() -> ConfigDict:
    return overlay(
        name="mannequin",
        needs="mannequin+pretrained",
        model={"heads": 0},
        data={
            "height": 224, "width": 224, "batch_size": 16, "log": 1.0,
            "scale": 1.15, "rotation": 5.0, "flip": True, "crop": "random", "depth_scale": 1.0, "eval": "validation",
        },
        loss={"terms": "mannequin"},
        rebalance={"order": "off"},
        optim={"learning_rate": 4e-4, "decay_every_epochs": 4.0},
        train={"epochs": 12, "best_by": "si_rmse"},
    )  # fmt: skip
