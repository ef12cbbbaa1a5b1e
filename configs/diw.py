r"""Ranking alone on Depth in the Wild: the paper's plain network.

    python -m mdepth_jax.train --config configs/diw.py --config.data.root=DIR --config.model.pretrained=FILE

DIR is what `python -m mdepth_jax.prepare diw` wrote. Batch 4, Adam 1e-4 halved every epoch, 224x448 (Sec. 4.1). Cost:
5 epochs of 105 thousand steps. Expected: WHDR 0.1484 (Table 3, "DIW").
"""

from ml_collections import ConfigDict

from mdepth_jax.training.config import overlay


def get_config() -> ConfigDict:
    return overlay(
        name="diw",
        needs="ranking+pretrained",
        model={"heads": 0},
        loss={"terms": "ranking"},
        rebalance={"order": "off"},
    )
