import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.paper import figures
from mdepth_jax.paper.comparison import format_markdown, make_tables, make_tradeoff
from tests.paper.runs import make_run, score

TABLE_3, TABLE_6 = (next(title for title in figures.TABLES if title.startswith(f"Table {n}")) for n in (3, 6))


def test_scores_on_other_data_leave_the_columns_of_the_paper_empty():
    """The fault that this report had: the WHDR of ReDWeb's images next to 0.2046, the RMSE of MC next to 1.274."""
    dense = {"rmse": 0.8, "si_rmse": 0.15}
    runs = [
        make_run("redweb", [score("whdr", 0.17, "redweb", "train[95%:]")]),
        make_run("mannequin", [score(metric, value, "mannequin", "validation") for metric, value in dense.items()],
                 loss={"terms": "mannequin"}),
    ]  # fmt: skip
    tables = make_tables(runs)
    assert list(tables) == [
        TABLE_3, f"{TABLE_3}, measured on ReDWeb train[95%:]", f"{TABLE_3}, measured on Mannequin Challenge validation",
    ]  # fmt: skip
    redweb, mannequin = tables[TABLE_3]
    assert (redweb[""], mannequin[""]) == ("RedWeb", "MC")
    for row in (redweb, mannequin):
        assert [row[metric] for metric in ("rmse", "whdr", "si_rmse", "change")] == ["", "", "", ""]
    assert (redweb["paper whdr"], mannequin["paper rmse"]) == ("0.2046", "1.274")
    assert list(tables.values())[1] == [
        {"": "RedWeb", "seeds": 1, "whdr (whole images at 224x448)": "0.1700", "change": "+0.0 %", "n": "100 pairs",
         "step": "2", "weights": "12345678"}
    ]  # fmt: skip
    assert list(tables.values())[2][0]["si_rmse (whole images at 224x448, aligned to nyu)"] == "0.1500"


def test_seeds_are_averaged():
    runs = [
        make_run("table6_hard_easy", [score("whdr", 0.11, "diw"), score("rmse", 1.25, "nyuv2")]),
        make_run("table6_no_rebalancing", [score("whdr", 0.20, "diw")]),
        make_run("table6_no_rebalancing", [score("whdr", 0.24, "diw")], seed=1),
    ]
    tables = make_tables(runs)
    off, hard = tables[TABLE_6]
    assert (off[""], off["seeds"], off["whdr"]) == (figures.ROWS["table6_no_rebalancing"].title, 2, "0.2200 +- 0.0283")
    assert (hard["seeds"], hard["whdr"], hard["rmse"], hard["si_rmse"]) == (1, "0.1100", "1.2500", "")
    assert [row["change"] for row in (off, hard)] == ["+0.0 %", "-50.0 %"]
    assert [row["paper change"] for row in (off, hard)] == ["+0.0 %", f"{100 * (0.1156 / 0.1198 - 1):+.1f} %"]
    assert (off["n"], hard["n"]) == ("100 pairs", "100 pairs, 100 maps")
    assert [hard[f"paper {metric}"] for metric in ("rmse", "whdr", "si_rmse")] == ["1.300", "0.1156", "0.4292"]
    [best] = tables[figures.TABLE_7]
    assert (best["whdr"], best["parameters"], best["paper whdr"]) == ("0.1100", "2.58M", "0.1156")


def test_a_run_that_lacked_a_part_of_its_recipe_is_no_row():
    whole = make_run("table6_hard_easy", [score("whdr", 0.11, "diw")])
    lacks = {"kd_diw": ("pairwise", "pretrained"), "nyuv2": ("pretrained",), "kd_diw_pruned": ("pretrained",)}
    groups = {"nyuv2": {"loss": {"terms": "l1"}}}
    runs = [make_run(name, [score("whdr", 0.2, "diw")], lacks=lacks[name], **groups.get(name, {})) for name in lacks]
    tables = make_tables([whole, *runs])
    assert [row[""] for row in tables[TABLE_6]] == [figures.ROWS["table6_hard_easy"].title]
    assert [row["paper whdr"] for row in tables[figures.TABLE_7]] == ["0.1156", ""]  # a pruned one of unknown size
    others = tables["Other runs, measured on Depth in the Wild test"]
    assert [row[""] for row in others] == [
        "kd_diw, without pairwise, pretrained weights", "nyuv2, without pretrained weights",
        "kd_diw_pruned, 2.6M, without pretrained weights",
    ]  # fmt: skip
    assert {title for title in tables if title in figures.TABLES} == {TABLE_6}


def test_rows_in_another_budget_are_not_those_of_the_paper():
    """Even on DIW; they are compared with one another, seed by seed, under the titles of the rows."""
    runs = [
        make_run(f"{name}_pairs", [score("whdr", whdr, "my rooms")], seed=seed)
        for name, values in {"table6_no_rebalancing": (0.2, 0.24), "table6_hard_easy": (0.11,)}.items()
        for seed, whdr in enumerate(values)
    ]
    [(title, rows)] = make_tables(runs).items()
    assert title == f"{TABLE_6}, measured on my rooms test"
    column = "whdr (whole images at 224x448)"
    assert [(row[""], row[column]) for row in rows] == [
        (figures.ROWS["table6_no_rebalancing"].title, "0.2200 +- 0.0283"),
        (figures.ROWS["table6_hard_easy"].title, "0.1100"),
    ]
    assert not any(key.startswith("paper") for row in rows for key in row)
    diw = make_tables([make_run("table6_hard_easy_pairs", [score("whdr", 0.1, "diw")])])
    assert list(diw) == [f"{TABLE_6}, measured on Depth in the Wild test"]


def test_encoders_and_decoders():
    groups = {"loss": {"terms": "l1"}, "data": {"crop": "center"}}

    def metric(name, value):
        made = score(name, value, "nyuv2")
        return type(made)(**{**vars(made), "protocol": type(made.protocol)("middle", "eigen", "none", 224, 448)})

    runs = [
        make_run("nyuv2", [metric("rmse", 0.6), metric("delta1", 0.77)], **groups),
        make_run("nyuv2", [metric("rmse", 0.65)], parameters=4_793_000,
                 model={"encoder": "ghostnet", "decoder": "nnconv5"}, **groups),
    ]  # fmt: skip
    tables = make_tables(runs)
    one, two = figures.DESIGN_TABLES
    assert list(tables) == [one, two, TABLE_3]
    [ghostnet] = tables[one]
    assert ghostnet == {
        "": "ghostnet + nnconv5", "seeds": 1, "rmse": "0.6500", "delta1": "", "n": "100 maps", "parameters": "4.79M",
        "paper rmse": "0.618", "paper delta1": "0.750", "paper parameters": "5.4M",
    }  # fmt: skip
    assert [(row[""], row["rmse"], row["delta1"], row["paper delta1"]) for row in tables[two]] == [
        ("ghostnet + nnconv5", "0.6500", "", "0.750"), ("mobilenet_v2 + fbnet x112", "0.6000", "0.7700", "0.790"),
    ]  # fmt: skip
    assert [(row[""], row["rmse"]) for row in tables[TABLE_3]] == [("NYUv2", "0.6000")]


def test_pruned_networks_are_rows_of_table_7_by_their_size():
    pruned = {"model": {"widths": (1, 2)}}
    runs = [
        make_run("kd_diw_pruned", [score("whdr", 0.13, "diw")], parameters=1_899_000, **pruned),
        make_run("kd_diw_pruned", [score("whdr", 0.3, "redweb")], parameters=1_000_100, model={"widths": (3,)}),
        make_run("kd_diw_pruned", [score("whdr", 0.15, "diw")], parameters=700_000, model={"widths": (4,)}),
        make_run("kd_pruned", [score("whdr", 0.2, "scenes")], parameters=1_900_000, model={"widths": (5,)}),
    ]
    rows = make_tables(runs)[figures.TABLE_7]
    assert [(row[""], row["whdr"], row["parameters"], row["paper whdr"]) for row in rows] == [
        ("Yucel et al. 2021, pruned v1", "0.1300", "1.90M", "0.1190"),
        ("Yucel et al. 2021, pruned v3", "", "1.00M", "0.1208"),
        ("kd_diw_pruned, 0.7M", "0.1500", "0.70M", ""),
        ("kd_pruned, 1.9M", "", "1.90M", ""),
    ]


def test_other_weights_have_a_table_of_their_own():
    run = make_run("mine", [score("whdr", 0.3, "diw", weights="other"), score("whdr", 0.2, "", weights="")])
    assert list(make_tables([run])) == [
        "Other runs, measured on Depth in the Wild test, other weights than the best",
        "Other runs, measured on unknown data test",
    ]


def test_runs_of_one_experiment_may_differ_in_the_seed_alone():
    first = make_run("mine", [score("whdr", 0.3, "diw")])
    second = make_run("mine", [score("whdr", 0.3, "diw")], seed=1, train={"epochs": 9})
    with pytest.raises(UserError, match=r"are both mine, but differ in more than the seed \(train\.epochs"):
        make_tables([first, second])


def test_markdown():
    lines = format_markdown({"Other runs": [{"": "mine", "whdr": "0.3000"}]}).splitlines()
    assert lines[0] == "## Other runs"
    assert [cell.strip() for cell in lines[-1].strip("|").split("|")] == ["mine", "0.3000"]


def test_figure_1_says_what_every_point_was_measured_on():
    runs = [
        make_run("kd_diw", [score("whdr", 0.12, "diw"), score("whdr", 0.3, "redweb")], parameters=2_500_000),
        make_run("pairs", [score("whdr", 0.3, "my rooms")]),
        make_run("maps", [score("rmse", 0.6, "nyuv2")]),
    ]
    published, *ours = make_tradeoff(runs).items()
    assert (published[0], len(published[1])) == ("Table 7 of the paper, on DIW test", len(figures.METHODS))
    assert [(title, [(point.label, point.parameters, point.whdr) for point in points]) for title, points in ours] == [
        ("these runs, on Depth in the Wild test", [("kd_diw0", 2.5, 0.12)]),
        ("these runs, on ReDWeb test, not as in the paper", [("kd_diw0", 2.5, 0.3)]),
        ("these runs, on my rooms test, not as in the paper", [("pairs0", 2.580225, 0.3)]),
    ]
