"""Both notebooks, executed from top to bottom at tiny size."""

import importlib.metadata
import pathlib
import re
import zipfile

import nbclient
import nbformat
import numpy as np
import pytest

from mdepth_jax.models import save_weights
from mdepth_jax.models.header import Header, TrainingRun
from mdepth_jax.training import logbook
from mdepth_jax.training.config import overlay
from tests.tflite.networks import make_network

ROOT = pathlib.Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "colab").glob("*.ipynb"))
TINY = {
    "model.encoder": "mobilenet_v1", "model.decoder": "nnconv5", "model.heads": 0, "model.width": 0.25,
    "data.count": 8, "data.eval_count": 4, "data.height": 32, "data.width": 32,
    "data.batch_size": 4, "train.epochs": 1, "train.log_every": 1,
}  # fmt: skip


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Executes a notebook with other parameters: `execute(name, RUN=...)` returns the cells' outputs by id."""
    importlib.metadata.version("mdepth_jax")  # where it is not installed, the notebooks would install it
    for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))

    def run(name: str, **parameters: object) -> dict[str, list]:
        notebook = nbformat.read(ROOT / "colab" / f"{name}.ipynb", as_version=4)
        place = next(
            index for index, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])
        )
        injected = "\n".join(f"{key} = {value!r}" for key, value in (parameters | {"SOURCE": str(ROOT)}).items())
        notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(injected))
        nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
        return {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}

    return run


def printed(outputs):
    return "".join(output["text"] for output in outputs if output.output_type == "stream")


def shown(outputs, kind):
    return [output.data[kind] for output in outputs if kind in output.get("data", {})]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_valid_and_hold_no_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert [cell.id for cell in code if "parameters" in cell.metadata.get("tags", [])] == [code[0].id]


def test_train(execute, tmp_path):
    run = tmp_path / "run"
    flags = [f"--config.{key}={value}" for key, value in TINY.items()]
    cells = execute("train_on_tpu", DEVICE="cpu", RUN=str(run), FLAGS=flags, TENSORBOARD=False)
    assert "all is well" in printed(cells["device"])
    report = shown(cells["report"], "text/markdown")[0]
    assert "Test set:\nWHDR " in report
    assert "2 steps;" in report
    assert len(shown(cells["report"], "image/png")) == 2
    assert len(shown(cells["predictions"], "image/jpeg")) == 4
    assert logbook.read(run)[-1]["step"] == 2
    assert list((run / "tensorboard").iterdir())
    assert (run / "model.safetensors").exists()


def test_a_machine_without_a_tpu_is_refused(execute, tmp_path):
    with pytest.raises(nbclient.exceptions.CellExecutionError) as error:
        execute("train_on_tpu", RUN=str(tmp_path / "run"))
    assert (error.value.ename, error.value.evalue) == ("UserError", "wrong: devices")


def test_convert(execute, tmp_path):
    """A network too large for float16, which must not end the notebook."""
    options = {"encoder": "mobilenet_v1", "decoder": "nnconv5", "width": 0.25, "heads": 0}
    network = make_network(**options)
    network.decoder.predict.kernel[...] *= 1e6
    data = {"source": "scenes", "count": 20, "eval_count": 4, "height": 32, "width": 64}
    config = overlay(model=options, data=data)
    model, output = tmp_path / "model.safetensors", tmp_path / "phone"
    save_weights(model, network, config.model, Header(TrainingRun(config=config.to_dict())))
    cells = execute("convert_to_tflite", MODEL=str(model), OUTPUT=str(output), SCENES=8, PRECISIONS=["float16", "int8"])
    (table,) = shown(cells["table"], "text/html")
    passed, failed = (re.findall("<td[^>]*>(.*?) *</td>", row) for row in re.findall("<tr><td.*", table))
    assert [passed[0], failed[0]] == ["int8", "float16"]
    assert "beyond float16" in failed[-1]
    size, whdr, interval, milliseconds = map(float, passed[1:-1])
    file = output / "depth_int8.tflite"
    assert size == pytest.approx(file.stat().st_size / 1e6, abs=1e-3)
    assert 0 <= whdr <= 1
    assert min(interval, milliseconds) > 0
    assert not (output / "depth_float16.tflite").exists()
    assert np.fromfile(file.with_suffix(".golden.f32"), "<f4").size == 32 * 64
    assert len(shown(cells["golden"], "image/png")) == 1
    with zipfile.ZipFile(tmp_path / "phone.zip") as archive:
        assert {"depth_int8.tflite", "depth_int8.golden.png", "depth_int8.golden.f32"} <= set(archive.namelist())
