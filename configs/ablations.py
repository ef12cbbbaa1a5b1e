r"""Every row of Tables 3 to 6 of the paper by its name.

On the paper's data, with the paper's budget (rows of distillation: 5 epochs of 105 thousand steps). Sequential rows
take the flags of `configs/sequential.py`, rows of one data set those of its own file, rows of distillation these:

    python -m mdepth_jax.train --config configs/ablations.py:table5_pi_only --config.data.root=DIR \
        --config.teacher.run=RUN --config.model.pretrained=FILE

A row is refused without the teacher of its terms and ImageNet weights; --config.without=teacher and
--config.without=pretrained do without, and `python -m mdepth_jax.report` does not count such a run as the row.

Rows of distillation on a small folder of pairs with cached maps add `_pairs` to the name: the data, the length and the
learning rate are those of `configs/kd.py:pairs`, the recipe is that of the row. Rows with the pair-wise term need a
teacher with features as well (--config.teacher.run=RUN); `configs/nyuv2_pairs.py` is such a folder:

    python -m mdepth_jax.train --config configs/ablations.py:table5_pi_only_pairs --config.data.root=DIR \
        --config.model.pretrained=FILE

Expected on the paper's data:

| row                                          | the paper: RMSE, WHDR, SI-RMSE |
|----------------------------------------------|--------------------------------|
| table3_nyuv2                                 | 0.564  0.3294  0.3809          |
| table3_diw                                   | 1.332  0.1484  0.4662          |
| table3_redweb                                | 1.326  0.2046  0.3973          |
| table3_mc                                    | 1.274  0.2401  0.1097          |
| table3_redweb_diw                            | 1.319  0.1386  0.4999          |
| table3_mc_diw                                | 1.326  0.1376  0.3973          |
| table3_mc_redweb_diw, table[456] baselines   | 1.313  0.1316  0.4551          |
| table4_sequential_1ip                        | 1.312  0.1331  0.4179          |
| table4_sequential_2ip                        | 1.308  0.1337  0.4441          |
| table4_kd_no_ip, table5_ranking_pi_pa        | 1.294  0.1202  0.4396          |
| table4_kd_1ip                                | 1.298  0.1214  0.4467          |
| table4_kd_2ip, table5_ranking_pi_pa_2ip, table6_no_rebalancing | 1.303  0.1198  0.4213 |
| table5_pi_only                               | 1.299  0.1253  0.4491          |
| table5_ranking_pi                            | 1.298  0.1202  0.4374          |
| table5_ranking_pi_pa_gan                     | 1.294  0.1204  0.4319          |
| table6_mtadam                                | 1.316  0.1328  0.4704          |
| table6_wi_easy_hard                          | 1.688  0.1332  0.5876          |
| table6_easy_hard                             | 1.300  0.1226  0.4286          |
| table6_hard_easy                             | 1.300  0.1156  0.4292          |
"""

from typing import Any

from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.training.config import override
from mdepth_jax.training.stages import load_neighbor

ALL = "ranking+pixelwise+pairwise"
SEQUENTIAL = ("sequential.py", "mc_redweb_diw")

FILES = {
    "table3_nyuv2": ("nyuv2.py", ""),
    "table3_diw": ("diw.py", ""),
    "table3_redweb": ("redweb.py", ""),
    "table3_mc": ("mannequin.py", ""),
    "table3_redweb_diw": ("sequential.py", "redweb_diw"),
    "table3_mc_diw": ("sequential.py", "mc_diw"),
    "table3_mc_redweb_diw": SEQUENTIAL,
    "table4_sequential_no_ip": SEQUENTIAL,
    "table5_baseline": SEQUENTIAL,
    "table6_baseline": SEQUENTIAL,
}
SEQUENTIAL_HEADS = {"table4_sequential_1ip": 1, "table4_sequential_2ip": 2}
DISTILLATION: dict[str, tuple[int, str, dict[str, Any]]] = {  # heads, terms, rebalance and optim
    "table4_kd_no_ip": (0, ALL, {"rebalance.order": "off"}),
    "table4_kd_1ip": (1, ALL, {"rebalance.order": "off"}),
    "table4_kd_2ip": (2, ALL, {"rebalance.order": "off"}),
    "table5_pi_only": (0, "pixelwise", {"rebalance.order": "off"}),
    "table5_ranking_pi": (0, "ranking+pixelwise", {"rebalance.order": "off"}),
    "table5_ranking_pi_pa": (0, ALL, {"rebalance.order": "off"}),
    "table5_ranking_pi_pa_gan": (0, f"{ALL}+holistic", {"rebalance.order": "off"}),
    "table5_ranking_pi_pa_2ip": (2, ALL, {"rebalance.order": "off"}),
    "table6_no_rebalancing": (2, ALL, {"rebalance.order": "off"}),
    "table6_mtadam": (2, ALL, {"rebalance.order": "off", "optim.optimizer": "mtadam"}),
    "table6_wi_easy_hard": (
        2, ALL, {"rebalance.order": "easy_to_hard", "rebalance.weight_initialization": True,
                 "rebalance.fixed_intermediate": False},
    ),
    "table6_easy_hard": (2, ALL, {"rebalance.order": "easy_to_hard"}),
    "table6_hard_easy": (2, ALL, {"rebalance.order": "hard_to_easy"}),
}  # fmt: skip


def get_config(variant: str = "table6_hard_easy") -> ConfigDict:
    row = variant.removesuffix("_pairs")
    if row in DISTILLATION:
        config = load_neighbor(__file__, "kd.py", "diw" if row == variant else "pairs")
        heads, terms, keys = DISTILLATION[row]
        recipe = {
            "needs": f"{terms}+pretrained",
            "model.heads": heads,
            "loss.terms": terms,
            "loss.weights.ranking": 1.0,
        }
        for key, value in {**recipe, "rebalance.strength": 3.0, **keys}.items():
            override(config, key, value)
    elif variant in FILES:
        config = load_neighbor(__file__, *FILES[variant])
    elif variant in SEQUENTIAL_HEADS:
        config = load_neighbor(__file__, *SEQUENTIAL)
        for stage in config.stages.values():
            stage.model.heads = SEQUENTIAL_HEADS[variant]
    else:
        rows = ", ".join([*FILES, *SEQUENTIAL_HEADS, *DISTILLATION])
        raise UserError(
            f"configs/ablations.py has no row {variant!r}; there are {rows}; "
            "those of distillation also with _pairs behind the name"
        )
    config.name = variant
    return config
