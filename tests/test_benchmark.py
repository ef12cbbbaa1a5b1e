import json

from mdepth_jax import benchmark


def test_data_table(capsys, tmp_path):
    benchmark.main(["data", "--height", "12", "--width", "16", "--rounds", "1", "--json", str(tmp_path / "table.json")])
    assert "scenes, pipeline" in capsys.readouterr().out
    rows = json.loads((tmp_path / "table.json").read_text())
    assert [row["source"] for row in rows] == ["scenes, one by one", "scenes, pipeline"]
    assert rows[0]["times_faster"] == 1
