import pytest

from mdepth_jax.models.__main__ import main
from mdepth_jax.paper.figures import PARAMETERS

# Numbers of parameters that reproduce the paper's counts, or do not (see the command's note).
COUNTS = {
    ("shufflenet_v2", "nnconv5"): 2_007_557,
    ("mnasnet", "nnconv5"): 3_994_249,
    ("mobilenet_v2", "nnconv5"): 3_115_809,
    ("mobilenet_v3_large", "nnconv5"): 5_093_969,
    ("efficientnet_es", "nnconv5"): 5_049_329,
    ("efficientnet_b0", "nnconv5"): 4_899_485,
    ("mixnet_m", "nnconv5"): 4_507_303,
    ("mixnet_s", "nnconv5"): 3_627_527,
    ("mobilenet_v1", "nnconv5"): 3_960_929,
    ("ghostnet", "nnconv5"): 4_793_445,
    ("efficientnet_es", "fbnet x112"): 4_682_401,
    ("ghostnet", "fbnet x112"): 4_288_869,
    ("mixnet_m", "fbnet x112"): 3_969_623,
    ("mobilenet_v2", "fbnet x112"): 2_580_225,
    ("mobilenet_v2", "fbnet"): 2_581_617,
    ("resnet50", "redweb"): 53_158_977,
}
NOT_REPRODUCED = {("ghostnet", "nnconv5"), ("mixnet_m", "fbnet")}


@pytest.fixture(scope="module")
def table():
    """The rows that the command prints, by encoder and decoder."""
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        patch.setattr("builtins.print", lambda *words, **_: lines.append(" ".join(words)))
        main(["--width", "200"])
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    header, *rows = cells
    assert header[4] == "GMACs at 224x224"
    return {tuple(row[:2]): row[2:] for row in rows}


def test_counts_to_the_digit(table):
    assert len(table) == 44
    for network, count in COUNTS.items():
        assert table[network][0] == f"{count:,}"
    for network, millions in PARAMETERS.items():
        count = int(table[network][0].replace(",", "")) / 1e6
        assert (abs(count - millions) < 0.065) == (network not in NOT_REPRODUCED), network


def test_costs_and_receptive_fields(table):
    assert table["mobilenet_v2", "fbnet x112"][2] == "0.356"
    assert {name: table[name, "fbnet"][3] for name in ("mobilenet_v1", "mobilenet_v2", "efficientnet_b0")} == {
        "mobilenet_v1": "315",
        "mobilenet_v2": "491",
        "efficientnet_b0": "851",
    }
