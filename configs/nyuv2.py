r"""Metric depth on NYUv2, on which the paper compares encoders and decoders.

    python -m mdepth_jax.train --config configs/nyuv2.py --config.data.root=DIR --config.model.pretrained=FILE \
        [--config.model.encoder=ghostnet --config.model.decoder=nnconv5]

DIR is what `python -m mdepth_jax.prepare` wrote, TFDS's own `nyu_depth_v2` (with `--config.data.eval=validation`), or
a folder with depth maps (`--config.data.depth_scale`). Batch 8, SGD 0.01 with momentum 0.9 and decay 1e-4, a tenth
every 10 epochs, L1; scale, rotation, color jitter, flips and central crops of 224x224 (Sec. 4.1). The strength of the
augmentation is ours, the paper names none. Evaluation sees the central square of a 640x480 image, too, and scores its
pixels inside the white border of the sensor (`--config.data.eval_crop=eigen`). Cost: 30 epochs, with 48 thousand
images of 6 thousand steps. Expected: RMSE 0.564 m, delta1 0.790 (Tables 1 and 2).

A few hundred images are too few steps for SGD: `configs/nyuv2.py:small` takes Adam, and maps of any size.
"""

from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.training.config import drop_unread, overlay, override


def get_config(variant: str = "") -> ConfigDict:
    if variant not in ("", "small"):
        raise UserError(f"configs/nyuv2.py has no variant {variant!r}; there are small and none")
    config = overlay(
        name="nyuv2",
        needs="l1+pretrained",
        model={"heads": 0, "output_bias": 2.8},  # the mean depth in meters
        data={
            "height": 224, "width": 224, "batch_size": 8, "eval_crop": "eigen",
            "scale": 1.5, "rotation": 5.0, "jitter": 0.4, "flip": True, "crop": "center",
        },
        loss={"terms": "l1"},
        rebalance={"order": "off"},
        optim={
            "optimizer": "sgd", "momentum": 0.9, "weight_decay": 1e-4,
            "learning_rate": 1e-2, "decay_rate": 0.1, "decay_every_epochs": 10.0,
        },
        train={"epochs": 30, "best_by": "rmse"},
    )  # fmt: skip
    if variant == "small":
        config.name, config.needs = "nyuv2_small", ""
        override(config, "model.output_scale", 0.01)
        override(config, "optim", {"optimizer": "adam", "weight_decay": 0.0, "learning_rate": 1e-3})
        override(config, "optim", {"schedule": "cosine", "warmup_epochs": 0.5})
        drop_unread(config)
        override(config, "train.epochs", 10)
        override(config, "data.eval_crop", "none")
    return config
