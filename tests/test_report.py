import csv
import json

import PIL.Image

from mdepth_jax import report
from mdepth_jax.files import hash_file
from mdepth_jax.paper.figures import METHODS, ROWS, TABLE_8
from mdepth_jax.paper.runs import read_run
from tests.paper.runs import score, write_evaluation, write_run


def test_tables_and_pictures(tmp_path, capsys, figures):
    output = tmp_path / "report"
    own = {"whdr": score("whdr", 0.3, "redweb")}
    runs = [write_run(tmp_path / name, name=name, scores=own) for name in ("table6_hard_easy", "mine")]
    write_evaluation(runs[0], "diw", score("whdr", 0.11, "diw"))
    (runs[0] / "benchmarks").mkdir()
    timing = {
        "setting": "Intel",
        "model": "m.tflite",
        "p50_ms": 9.0,
        "weights": hash_file(runs[0] / "model.safetensors"),
    }
    (runs[0] / "benchmarks/here.json").write_text(json.dumps([timing]))
    assert report.main([*map(str, runs), "--output", str(output)]) == 0
    text = (output / "tables.md").read_text()
    assert capsys.readouterr().out.strip() == text.strip()
    assert "## Table 6: loss rebalancing\n" in text
    assert "## Other runs, measured on ReDWeb test\n" in text
    with (output / "tables.csv").open() as file:
        rows = list(csv.DictReader(file))
    by_table = {row["table"]: row for row in rows}
    ours, own = by_table["Table 6: loss rebalancing"], by_table["Table 6: loss rebalancing, measured on ReDWeb test"]
    assert (ours[""], ours["whdr"], ours["paper whdr"]) == (ROWS["table6_hard_easy"].title, "0.1100", "0.1156")
    assert (own["whdr (whole images at 224x448)"], own["whdr"], own["paper whdr"]) == ("0.3000", "", "")
    assert by_table[TABLE_8]["CPU"] == "9.0"
    assert by_table["Other runs, measured on ReDWeb test"][""] == "mine"
    (sizes,) = figures["figure1.png"].axes
    drawn = {points.get_label(): points.get_offsets().tolist() for points in sizes.collections}
    assert drawn.pop("Table 7 of the paper, on DIW test") == [[method.parameters, method.whdr] for method in METHODS]
    millions = read_run(runs[0]).parameters / 1e6
    assert drawn == {
        "these runs, on Depth in the Wild test": [[millions, 0.11]],
        "these runs, on ReDWeb test, not as in the paper": [[millions, 0.3]] * 2,
    }
    panels = figures["weights.png"].axes
    assert [axis.get_title() for axis in panels] == ["table6_hard_easy, seed 0", "mine, seed 0"]
    for axis in panels:
        assert [line.get_xydata().tolist() for line in axis.lines] == [[[1, 0.5], [2, 0.6]]]
    for picture in ("figure1.png", "weights.png"):
        with PIL.Image.open(output / picture) as file:
            file.load()
