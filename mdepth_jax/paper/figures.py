"""The figures that the paper prints: what a reproduction is held against."""

from typing import NamedTuple


class Row(NamedTuple):
    """A row of Tables 3 to 6.

    Attributes:
        title: The row's name in the paper.
        rmse: Of NYUv2's test set in metres.
        whdr: Of DIW's test set.
        si_rmse: Of the Mannequin Challenge's test set.
    """

    title: str
    rmse: float
    whdr: float
    si_rmse: float


BASELINE = Row("Baseline (MC -> RedWeb -> DIW)", 1.313, 0.1316, 0.4551)
WITH_PAIRWISE = Row("Ranking + PI + PA (DIW + KD)", 1.294, 0.1202, 0.4396)
TWO_HEADS = Row("Ranking + PI + PA + 2 IP (DIW + KD)", 1.303, 0.1198, 0.4213)

TABLES: dict[str, dict[str, Row]] = {
    "Table 3: training sets": {
        "table3_nyuv2": Row("NYUv2", 0.564, 0.3294, 0.3809),
        "table3_diw": Row("DIW", 1.332, 0.1484, 0.4662),
        "table3_redweb": Row("RedWeb", 1.326, 0.2046, 0.3973),
        "table3_mc": Row("MC", 1.274, 0.2401, 0.1097),
        "table3_redweb_diw": Row("RedWeb -> DIW", 1.319, 0.1386, 0.4999),
        "table3_mc_diw": Row("MC -> DIW", 1.326, 0.1376, 0.3973),
        "table3_mc_redweb_diw": BASELINE._replace(title="MC -> RedWeb -> DIW"),
    },
    "Table 4: intermediate predictions": {
        "table4_sequential_no_ip": BASELINE._replace(title="No IP (MC -> RedWeb -> DIW)"),
        "table4_sequential_1ip": Row("1 IP (MC -> RedWeb -> DIW)", 1.312, 0.1331, 0.4179),
        "table4_sequential_2ip": Row("2 IP (MC -> RedWeb -> DIW)", 1.308, 0.1337, 0.4441),
        "table4_kd_no_ip": WITH_PAIRWISE._replace(title="No IP (DIW + knowledge distillation)"),
        "table4_kd_1ip": Row("1 IP (DIW + knowledge distillation)", 1.298, 0.1214, 0.4467),
        "table4_kd_2ip": TWO_HEADS._replace(title="2 IP (DIW + knowledge distillation)"),
    },
    "Table 5: knowledge distillation": {
        "table5_baseline": BASELINE,
        "table5_pi_only": Row("PI-only (no dataset supervision)", 1.299, 0.1253, 0.4491),
        "table5_ranking_pi": Row("Ranking + PI (DIW)", 1.298, 0.1202, 0.4374),
        "table5_ranking_pi_pa": WITH_PAIRWISE,
        "table5_ranking_pi_pa_gan": Row("Ranking + PI + PA + GAN (DIW + KD)", 1.294, 0.1204, 0.4319),
        "table5_ranking_pi_pa_2ip": TWO_HEADS,
    },
    "Table 6: loss rebalancing": {
        "table6_baseline": BASELINE,
        "table6_no_rebalancing": TWO_HEADS._replace(title="Ours (no loss rebalancing) (DIW + KD)"),
        "table6_mtadam": Row("Ours + MTAdam (DIW + KD)", 1.316, 0.1328, 0.4704),
        "table6_wi_easy_hard": Row("Ours + WI + easy -> hard (DIW + KD)", 1.688, 0.1332, 0.5876),
        "table6_easy_hard": Row("Ours + no WI + easy -> hard, FIP (DIW + KD)", 1.300, 0.1226, 0.4286),
        "table6_hard_easy": Row("Ours + no WI + hard -> easy, FIP (DIW + KD)", 1.300, 0.1156, 0.4292),
    },
}
ROWS: dict[str, Row] = {name: row for table in TABLES.values() for name, row in table.items()}


class Method(NamedTuple):
    """A row of Table 7.

    Attributes:
        name: The method.
        data: What it was trained on.
        whdr: Of DIW's test set.
        parameters: In millions.
    """

    name: str
    data: str
    whdr: float
    parameters: float


METHODS = (
    Method("Chen et al. 2016", "DIW", 0.2214, 5.3),
    Method("Chen et al. 2016", "NYU + DIW", 0.1439, 5.3),
    Method("Li and Snavely 2018", "MegaDepth", 0.2297, 5.3),
    Method("Xian et al. 2018", "DIW", 0.1498, 53.1),
    Method("Xian et al. 2018", "RW + DIW", 0.1137, 53.1),
    Method("Ranftl et al. 2020", "RW + DL + MV + MD + WS", 0.1246, 105.3),
    Method("Ranftl et al. 2020", "ten data sets", 0.1344, 21.3),
    Method("Mertan et al. 2020", "DIW", 0.1250, 53.1),
    Method("Mertan et al. 2020", "RW + DIW", 0.1101, 53.1),
    Method("Chen et al. 2019", "RW + DIW + Y3D", 0.1059, 53.1),
    Method("Yucel et al. 2021, baseline", "MC, RW, DIW", 0.1316, 2.6),
    Method("Yucel et al. 2021", "DIW (+ KD)", 0.1156, 2.6),
    Method("Yucel et al. 2021, pruned v1", "DIW (+ KD)", 0.1190, 1.9),
    Method("Yucel et al. 2021, pruned v2", "DIW (+ KD)", 0.1196, 1.5),
    Method("Yucel et al. 2021, pruned v3", "DIW (+ KD)", 0.1208, 1.0),
)

# Tables 1 and 2: millions of parameters of an encoder with a decoder.
PARAMETERS: dict[tuple[str, str], float] = {
    ("shufflenet_v2", "nnconv5"): 2.0,
    ("mnasnet", "nnconv5"): 4.0,
    ("mobilenet_v2", "nnconv5"): 3.1,
    ("mobilenet_v3_large", "nnconv5"): 5.1,
    ("efficientnet_es", "nnconv5"): 5.0,
    ("efficientnet_b0", "nnconv5"): 4.9,
    ("ghostnet", "nnconv5"): 5.4,
    ("mixnet_m", "nnconv5"): 4.5,
    ("mixnet_s", "nnconv5"): 3.6,
    ("mobilenet_v1", "nnconv5"): 3.9,
    ("efficientnet_es", "fbnet"): 4.7,
    ("mixnet_m", "fbnet"): 3.6,
    ("ghostnet", "fbnet"): 4.3,
    ("mobilenet_v2", "fbnet"): 2.6,
    ("mobilenet_v2", "fbnet x112"): 2.6,
}
