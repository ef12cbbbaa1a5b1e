r"""The paper's final recipe: ranking, pixel-wise and pair-wise distillation, two heads, rebalancing hard to easy.

On the embedded scenes with the embedded teacher, from random weights. Cost: 275 seconds and 3.2 GB of memory on two
CPU cores. Expected: WHDR 0.30 on the test scenes:

    python -m mdepth_jax.train --config configs/kd.py

On a folder of images with pairs_train.csv and pairs_test.csv in the format of DIW. Cached maps in DIR/teacher/ supply
the pixel-wise term (without any: --config.teacher.maps=False); a run of ours (configs/teacher.py) adds the pair-wise
term. Cost: 20 epochs. Expected: depends on the data; `configs/nyuv2_pairs.py` is an example:

    python -m mdepth_jax.train --config configs/kd.py:pairs --config.data.root=DIR \
        --config.model.pretrained=mobilenet_v2.npz [--config.teacher.run=RUN]

The paper's recipe on DIW (421 thousand images): batch 4, Adam 1e-4 halved every epoch, 224x448 (Sec. 4.1). It is
refused without a teacher that runs in training and ImageNet weights, unless --config.without=teacher (the pairs alone)
or --config.without=pretrained says so; the report then names what the run lacked. Cost: 5 epochs of 105 thousand steps.
Expected: the last row of Table 6, `table6_hard_easy` in `configs/ablations.py`:

    python -m mdepth_jax.train --config configs/kd.py:diw --config.data.root=DIR --config.teacher.run=RUN \
        --config.model.pretrained=keras --config.model.norm_epsilon=1e-3

Switches: --config.loss.terms=ranking (no distillation), =ranking+pixelwise, ...; --config.rebalance.order=off (fixed
weights), =easy_to_hard; --config.model.heads=0.
"""

from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.training.config import overlay


def get_config(variant: str = "") -> ConfigDict:
    if variant == "":
        return overlay(
            name="kd",
            model={"output_bias": 6.0, "output_scale": 0.01},  # the mean of the maps
            data={
                "source": "scenes", "count": 1200, "eval_count": 200, "eval_pairs": 10,
                "height": 96, "width": 128, "batch_size": 8, "flip": True, "log": 4.0,
            },
            teacher={"run": "embedded"},
            optim={"learning_rate": 2e-3, "schedule": "cosine", "warmup_epochs": 0.25},
            train={"epochs": 5, "log_every": 10},
        )  # fmt: skip
    if variant == "pairs":
        return overlay(
            name="kd_pairs",
            model={"output_scale": 0.01},
            data={"height": 192, "width": 256, "batch_size": 8, "log": 4.0, "flip": True, "jitter": 0.2},
            teacher={"maps": True},
            loss={"weights": {"ranking": 0.1}},  # one pair moves one pixel: with more, a small set is overfitted
            rebalance={"strength": 1.0},  # with the paper's 3 the ranking term of a small set takes over
            optim={"learning_rate": 1e-3, "schedule": "cosine", "warmup_epochs": 0.5},
            train={"epochs": 20},
        )  # fmt: skip
    if variant == "diw":
        terms = "ranking+pixelwise+pairwise"
        return overlay(name="kd_diw", needs=f"{terms}+pretrained", loss={"terms": terms})
    raise UserError(f"configs/kd.py has no variant {variant!r}; there are pairs, diw and none")
