from dataclasses import replace
from pathlib import Path

import pytest

from mdepth_jax import convert
from mdepth_jax.errors import UserError
from mdepth_jax.export import run
from mdepth_jax.export.calibration import RENDERED
from mdepth_jax.models import TEACHERS


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The embedded network in int8, calibrated on a few of the scenes that it was trained on."""
    output, results = tmp_path_factory.mktemp("file") / "m.tflite", []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "CALIBRATION_IMAGES", 16)
        patch.setattr(
            convert, "export_run", lambda *arguments: results.append(run.export_run(*arguments)) or results[0]
        )
        arguments = ["--model", str(TEACHERS["embedded"]), "--output", str(output), "--height", "96", "--width", "128"]
        assert convert.main([*arguments, "--quantize", "int8", "--integer_io"]) == 0
    return results[0]


def test_trained_network_in_int8(exported, capsys):
    convert.report(exported, "int8")
    printed = capsys.readouterr().out
    worst = max(exported.layers, key=lambda layer: layer.added)
    assert f"\n{worst.layer} " in printed
    assert "16 images (training data of the run): largest error" in printed
    assert f"{exported.paths.model}: {exported.timing.file_mb:.2f} MB, 1 partition(s) under XNNPACK" in printed
    assert str(exported.paths.card) in printed
    assert exported.paths.model.stat().st_size < 3.3e6


def test_rendered_images_are_announced(exported, capsys):
    convert.report(replace(exported, verification=replace(exported.verification, origin=RENDERED)), "none")
    printed = capsys.readouterr().out
    assert printed.startswith("compared on rendered scenes")
    assert "noise" not in printed


def test_flags_are_options_of_the_export():
    flags = convert.parse(["--model", "run", "--output", "m.tflite", "--quantize", "float16", "--height", "64"])
    assert flags == convert.Flags(model=Path("run"), output=Path("m.tflite"), quantize="float16", height=64)


@pytest.mark.parametrize("options", [["--integer_io"], ["--layers", "l.csv"]])
def test_flags_that_do_not_fit(options):
    with pytest.raises(UserError, match=f"`{options[0][2:]}` goes with"):
        convert.parse(["--model", "run", "--output", "m.tflite", *options])


def test_unknown_quantization():
    with pytest.raises(SystemExit, match="2"):
        convert.parse(["--model", "run", "--output", "m.tflite", "--quantize", "int4"])
