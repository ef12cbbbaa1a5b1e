"""Figures that the paper prints (Yucel et al. 2021): the reference of every reproduction."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Design:
    """A row of Tables 1 and 2: an encoder with a decoder on NYUv2 (Sec. 4.2).

    Attributes:
        rmse: RMSE in meters.
        delta1: Share of pixels within a factor of 1.25.
        parameters: Number of parameters in millions.
    """

    rmse: float
    delta1: float
    parameters: float


# By names of encoder and decoder as `python -m mdepth_jax.models` prints them. Tables 1 and 2 disagree on the
# delta1 of MixNet M with NNConv5 (0.767, 0.766); this is Table 1's.
DESIGNS: dict[tuple[str, str], Design] = {
    ("shufflenet_v2", "nnconv5"): Design(0.615, 0.749, 2.0),
    ("mnasnet", "nnconv5"): Design(0.608, 0.758, 4.0),
    ("mobilenet_v2", "nnconv5"): Design(0.583, 0.775, 3.1),
    ("mobilenet_v3_large", "nnconv5"): Design(0.607, 0.749, 5.1),
    ("efficientnet_es", "nnconv5"): Design(0.572, 0.782, 5.0),
    ("efficientnet_b0", "nnconv5"): Design(0.581, 0.778, 4.9),
    ("ghostnet", "nnconv5"): Design(0.618, 0.750, 5.4),
    ("mixnet_m", "nnconv5"): Design(0.589, 0.767, 4.5),
    ("mixnet_s", "nnconv5"): Design(0.589, 0.766, 3.6),
    ("mobilenet_v1", "nnconv5"): Design(0.599, 0.775, 3.9),  # FastDepth
    ("efficientnet_es", "fbnet"): Design(0.534, 0.802, 4.7),
    ("mixnet_m", "fbnet"): Design(0.582, 0.773, 3.6),
    ("ghostnet", "fbnet"): Design(0.596, 0.756, 4.3),
    ("mobilenet_v2", "fbnet"): Design(0.567, 0.782, 2.6),
    ("mobilenet_v2", "fbnet x112"): Design(0.564, 0.790, 2.6),
}
OUR_DESIGN = ("mobilenet_v2", "fbnet x112")
DESIGN_TABLES: dict[str, tuple[tuple[str, str], ...]] = {
    "Table 1: encoders with NNConv5 on NYUv2": tuple(name for name in DESIGNS if name[1] == "nnconv5"),
    "Table 2: decoders on NYUv2": tuple(
        (encoder, decoder)
        for encoder in ("efficientnet_es", "mixnet_m", "ghostnet", "mobilenet_v2")
        for decoder in ("nnconv5", "fbnet", "fbnet x112")
        if (encoder, decoder) in DESIGNS
    ),
}
"""Rows of Tables 1 and 2 in the paper's order."""
PARAMETERS: dict[tuple[str, str], float] = {network: row.parameters for network, row in DESIGNS.items()}


TEST_SETS: dict[str, tuple[str, str]] = {
    "whdr": ("diw", "test"),
    "rmse": ("nyuv2", "test"),
    "delta1": ("nyuv2", "test"),
    "si_rmse": ("mannequin", "test"),
}
"""Data set, by its key, and split of every metric's column in Tables 1 to 7 (footnote 5 of Sec. 4.1)."""


@dataclass(frozen=True)
class Experiment:
    """A row of Tables 3 to 6 (Sec. 4.3 and 4.3.1).

    Attributes:
        title: Name of the row in the paper.
        rmse: RMSE on the test set of NYUv2 in meters.
        whdr: WHDR on the test set of DIW.
        si_rmse: Scale-invariant RMSE on the test set of the Mannequin Challenge.
    """

    title: str
    rmse: float
    whdr: float
    si_rmse: float


BASELINE = Experiment("Baseline (MC -> RedWeb -> DIW)", 1.313, 0.1316, 0.4551)
WITH_PAIRWISE = Experiment("Ranking + PI + PA (DIW + KD)", 1.294, 0.1202, 0.4396)
TWO_HEADS = Experiment("Ranking + PI + PA + 2 IP (DIW + KD)", 1.303, 0.1198, 0.4213)

TABLES: dict[str, dict[str, Experiment]] = {
    "Table 3: training sets": {
        "table3_nyuv2": Experiment("NYUv2", 0.564, 0.3294, 0.3809),
        "table3_diw": Experiment("DIW", 1.332, 0.1484, 0.4662),
        "table3_redweb": Experiment("RedWeb", 1.326, 0.2046, 0.3973),
        "table3_mc": Experiment("MC", 1.274, 0.2401, 0.1097),
        "table3_redweb_diw": Experiment("RedWeb -> DIW", 1.319, 0.1386, 0.4999),
        "table3_mc_diw": Experiment("MC -> DIW", 1.326, 0.1376, 0.3973),
        "table3_mc_redweb_diw": replace(BASELINE, title="MC -> RedWeb -> DIW"),
    },
    "Table 4: intermediate predictions": {
        "table4_sequential_no_ip": replace(BASELINE, title="No IP (MC -> RedWeb -> DIW)"),
        "table4_sequential_1ip": Experiment("1 IP (MC -> RedWeb -> DIW)", 1.312, 0.1331, 0.4179),
        "table4_sequential_2ip": Experiment("2 IP (MC -> RedWeb -> DIW)", 1.308, 0.1337, 0.4441),
        "table4_kd_no_ip": replace(WITH_PAIRWISE, title="No IP (DIW + knowledge distillation)"),
        "table4_kd_1ip": Experiment("1 IP (DIW + knowledge distillation)", 1.298, 0.1214, 0.4467),
        "table4_kd_2ip": replace(TWO_HEADS, title="2 IP (DIW + knowledge distillation)"),
    },
    "Table 5: knowledge distillation": {
        "table5_baseline": BASELINE,
        "table5_pi_only": Experiment("PI-only (no dataset supervision)", 1.299, 0.1253, 0.4491),
        "table5_ranking_pi": Experiment("Ranking + PI (DIW)", 1.298, 0.1202, 0.4374),
        "table5_ranking_pi_pa": WITH_PAIRWISE,
        "table5_ranking_pi_pa_gan": Experiment("Ranking + PI + PA + GAN (DIW + KD)", 1.294, 0.1204, 0.4319),
        "table5_ranking_pi_pa_2ip": TWO_HEADS,
    },
    "Table 6: loss rebalancing": {
        "table6_baseline": BASELINE,
        "table6_no_rebalancing": replace(TWO_HEADS, title="Ours (no loss rebalancing) (DIW + KD)"),
        "table6_mtadam": Experiment("Ours + MTAdam (DIW + KD)", 1.316, 0.1328, 0.4704),
        "table6_wi_easy_hard": Experiment("Ours + WI + easy -> hard (DIW + KD)", 1.688, 0.1332, 0.5876),
        "table6_easy_hard": Experiment("Ours + no WI + easy -> hard, FIP (DIW + KD)", 1.300, 0.1226, 0.4286),
        "table6_hard_easy": Experiment("Ours + no WI + hard -> easy, FIP (DIW + KD)", 1.300, 0.1156, 0.4292),
    },
}
ROWS: dict[str, Experiment] = {name: row for table in TABLES.values() for name, row in table.items()}
BEST = "table6_hard_easy"
"""Key of the final network of the paper."""


@dataclass(frozen=True)
class Method:
    """A row of Table 7 (Sec. 4.4).

    Attributes:
        name: Authors of the method.
        data: Training data.
        whdr: WHDR on the test set of DIW.
        parameters: Number of parameters in millions.
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
BASELINE_METHOD, BEST_METHOD, *PRUNED_METHODS = METHODS[-5:]
TABLE_7 = "Table 7: networks by size on DIW"


@dataclass(frozen=True)
class Timing:
    """A row of Table 8: milliseconds of an inference on a phone (Sec. 4.4).

    Attributes:
        device: Name of the phone.
        network: Name of the network.
        cpu: Time on the CPU.
        gpu: Time on the GPU.
        nnapi: Time by NNAPI.
    """

    device: str
    network: str
    cpu: int
    gpu: int
    nnapi: int


TABLE_8 = "Table 8: milliseconds by device"
TIMING_INPUT = "256x256"
PHONES = {"Samsung Galaxy S10+": "SM-G975", "Samsung Galaxy S21": "SM-G991"}
"""Phones of Table 8, with the start of the model number that Android reports."""
TIMINGS = (
    Timing("Samsung Galaxy S10+", "Ranftl et al. 2020", 274, 99, 332),
    Timing("Samsung Galaxy S10+", "Chen et al. 2016", 3361, 390, 1790),
    Timing("Samsung Galaxy S10+", "Ours", 116, 74, 108),
    Timing("Samsung Galaxy S10+", "Ours, pruned v1", 113, 72, 105),
    Timing("Samsung Galaxy S10+", "Ours, pruned v2", 104, 69, 103),
    Timing("Samsung Galaxy S10+", "Ours, pruned v3", 101, 67, 101),
    Timing("Samsung Galaxy S21", "Ranftl et al. 2020", 215, 53, 141),
    Timing("Samsung Galaxy S21", "Chen et al. 2016", 3101, 215, 375),
    Timing("Samsung Galaxy S21", "Ours", 54, 27, 43),
    Timing("Samsung Galaxy S21", "Ours, pruned v1", 47, 26, 25),
    Timing("Samsung Galaxy S21", "Ours, pruned v2", 43, 25, 35),
    Timing("Samsung Galaxy S21", "Ours, pruned v3", 39, 23, 33),
)
