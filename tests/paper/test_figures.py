"""The figures against the copies of them in the headers of the configurations and in the documentation."""

import ast
import pathlib
import re

import pytest

from mdepth_jax.paper.figures import DESIGNS, METHODS, PARAMETERS, ROWS

ROOT = pathlib.Path(__file__).parents[2]
RESULTS = (ROOT / "docs" / "results.md").read_text()
OURS = {method.name.removeprefix("Yucel et al. 2021").strip(", "): method for method in METHODS[-5:]}


def header(name):
    """Returns the docstring of a configuration, with single spaces."""
    return " ".join(ast.get_docstring(ast.parse((ROOT / "configs" / f"{name}.py").read_text())).split())


def test_ablations():
    shown = {}
    for names, *cells in re.findall(r"\| ([^|]*?) \| (\d\.\d{3}) (\d\.\d{4}) (\d\.\d{4}) ", header("ablations")):
        shown |= dict.fromkeys(re.findall(r"table\d_\w+", names), tuple(map(float, cells)))
    baselines = {"table4_sequential_no_ip", "table5_baseline", "table6_baseline"}
    assert shown.keys() == ROWS.keys() - baselines
    shown |= dict.fromkeys(baselines, shown["table3_mc_redweb_diw"])
    assert shown == {name: (row.rmse, row.whdr, row.si_rmse) for name, row in ROWS.items()}


def test_sequential_training():
    shown = dict(re.findall(r"\| (\w+_diw) \| (\d\.\d{4})", header("sequential")))
    expected = {name: ROWS[f"table3_{name}"].whdr for name in ("redweb_diw", "mc_diw", "mc_redweb_diw")}
    assert {name: float(whdr) for name, whdr in shown.items()} == expected


@pytest.mark.parametrize("name", ["diw", "redweb", "mannequin"])
def test_single_data_sets(name):
    text, row = header(name), ROWS[f"table3_{name.replace('mannequin', 'mc')}"]
    assert f'Table 3, "{row.title}"' in text
    assert set(re.findall(r"\d\.\d{4}", text)) <= {f"{score:.4f}" for score in (row.whdr, row.si_rmse)}


def test_metric_depth():
    design = DESIGNS["mobilenet_v2", "fbnet x112"]
    assert f"RMSE {design.rmse} m, delta1 {design.delta1:.3f}" in header("nyuv2")
    assert design.rmse == ROWS["table3_nyuv2"].rmse


def test_pruned_networks():
    text = header("finetune")
    pruned = [OURS[f"pruned v{version}"] for version in (1, 2, 3)]
    assert re.findall(r"(\d\.\d)M", text) == [f"{method.parameters:.1f}" for method in pruned]
    assert re.findall(r"\d\.\d{4}", text) == [f"{method.whdr:.4f}" for method in (*pruned, OURS[""])]


def test_tables_agree_where_they_repeat_a_network():
    """Our network is in Tables 2, 3, 6 and 7."""
    assert OURS[""].whdr == ROWS["table6_hard_easy"].whdr == min(row.whdr for row in ROWS.values())
    assert OURS["baseline"].whdr == ROWS["table3_mc_redweb_diw"].whdr
    assert OURS[""].parameters == OURS["baseline"].parameters == PARAMETERS["mobilenet_v2", "fbnet x112"]
    assert min(DESIGNS.values(), key=lambda design: design.rmse) == DESIGNS["efficientnet_es", "fbnet"]


def test_results_of_the_ablations():
    """Every row of the documentation has the WHDR of the paper behind ours."""
    shown = re.findall(r"\| `(table\d_\w+)` (?:\|[^|]*){4}\| ([\d.]+) \|", RESULTS)
    assert len(shown) >= 12
    for name, whdr in shown:
        assert whdr == f"{ROWS[name].whdr:.4f}", name


def test_results_of_metric_depth():
    design = DESIGNS["mobilenet_v2", "fbnet x112"]
    assert re.search(rf"\| the paper \|[^|]*\| {design.rmse:.3f} \| {design.delta1:.3f} \|", RESULTS)


def test_results_of_pruned_networks():
    """The documentation has the change of WHDR against the whole network."""
    shown = dict(re.findall(r"\| (\d\.\d)M \|(?:[^|]*\|){5} ([+-][\d.]+) % \|", RESULTS))
    expected = {
        f"{method.parameters:.1f}": f"{100 * (method.whdr / OURS[''].whdr - 1):+.1f}"
        for method in METHODS
        if "pruned" in method.name
    }
    assert shown == expected
