r"""Ranking alone on Depth in the Wild, the paper's plain network (Table 3, "DIW": WHDR 0.1484).

Batch 4, Adam 1e-4 halved every epoch, 5 epochs of 105 thousand steps, 224x448:

    python -m mdepth_jax.train --config configs/diw.py --config.data.root=DIR --config.model.pretrained=FILE

DIR is what `python -m mdepth_jax.prepare diw` wrote.
"""

from ml_collections import ConfigDict

from mdepth_jax.training.config import overlay


def get_config() -> ConfigDict:
    return overlay(
        name="diw",
        model={"heads": 0},
        loss={"terms": "ranking"},
        rebalance={"order": "off"},
    )
