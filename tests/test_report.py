import csv

from mdepth_jax import report
from mdepth_jax.paper import figures
from tests.paper.runs import write_run


def test_tables_and_pictures(tmp_path, capsys):
    output = tmp_path / "report"
    runs = [
        write_run(tmp_path / name, name=name, whdr=whdr)
        for name, whdr in {"table6_hard_easy": 0.11, "mine": 0.3}.items()
    ]
    assert report.main([*map(str, runs), "--output", str(output)]) == 0
    text = (output / "tables.md").read_text()
    assert capsys.readouterr().out.strip() == text.strip()
    assert "## Table 6: loss rebalancing" in text
    assert "## Other runs" in text
    with (output / "tables.csv").open() as file:
        ours, mine = csv.DictReader(file)
    assert (ours["table"], ours[""]) == ("Table 6: loss rebalancing", figures.ROWS["table6_hard_easy"].title)
    assert (ours["whdr"], ours["paper whdr"]) == ("0.1100", "0.1156")
    assert (mine[""], mine["whdr"], mine["paper whdr"]) == ("mine", "0.3000", "")
    for picture in ("figure1.png", "weights.png"):
        assert (output / picture).stat().st_size > 5000
