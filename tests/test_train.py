"""The main job from the command line, at tiny size."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import safetensors.numpy
from absl.testing import flagsaver

from mdepth_jax import cli, train
from mdepth_jax.training import logbook

ROOT = pathlib.Path(__file__).parents[1]
TINY = [
    "--config.model.encoder=mobilenet_v1",  # compiles fastest
    "--config.model.width=0.25",
    "--config.data.count=16",
    "--config.data.eval_count=4",
    "--config.data.height=32",
    "--config.data.width=32",
    "--config.data.batch_size=4",
    "--config.train.log_every=1",
    "--config.train.epochs=2",
]


ONE_DEVICE = [flag for flag in os.environ["XLA_FLAGS"].split() if "device_count" not in flag]
ENVIRONMENT = {**os.environ, "XLA_FLAGS": " ".join(ONE_DEVICE)}


def command(*flags, config="kd"):
    return [
        sys.executable,
        "-m",
        "mdepth_jax.train",
        "--config",
        str(ROOT / "configs" / f"{config}.py"),
        *TINY,
        *flags,
    ]


def run(*flags, config="kd"):
    return subprocess.run(
        command(*flags, config=config), capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT, timeout=600
    )


def deterministic(workdir):
    return [
        {key: value for key, value in record.items() if not key.startswith("time/")} for record in logbook.read(workdir)
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    process = run("--workdir", str(workdir))
    assert process.returncode == 0, process.stderr
    return workdir, process.stdout


def test_whole_recipe(finished):
    workdir, output = finished
    assert "parameters" in output
    assert "GMACs" in output
    assert f"python -m mdepth_jax.evaluate --model {workdir}" in output
    files = {path.name for path in workdir.iterdir()}
    assert files >= {"config.json", "environment.json", "metrics.jsonl", "model.safetensors", "predictions.png",
                     "curves.png", "report.md", "checkpoints", "tensorboard"}  # fmt: skip
    report = (workdir / "report.md").read_text()
    assert "The network gives relative depth, larger = farther" in report
    assert "| embedded teacher of mdepth_jax | Apache-2.0" in report
    (environment,) = json.loads((workdir / "environment.json").read_text())
    assert environment["packages"]["jax"]
    record = logbook.read(workdir)[0]
    assert {"loss/ranking", "loss/pixelwise", "loss/pairwise", "weight/pairwise"} <= record.keys()


@pytest.mark.usefixtures("optax_promotes")
def test_a_finished_run_without_its_report_gets_it(finished, tmp_path, monkeypatch):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    written = (workdir / "report.md").read_text()
    (workdir / "report.md").unlink()
    arguments = command("--workdir", str(workdir))[3:]
    monkeypatch.setattr(sys, "argv", ["train", *arguments])
    with flagsaver.flagsaver():
        assert train.main(arguments) == 0
    text = (workdir / "report.md").read_text()
    for pattern in (r"^Validation set, .* at step .*$", r"^\| 8 \| .*$"):
        assert re.findall(pattern, text, re.MULTILINE) == re.findall(pattern, written, re.MULTILINE) != []


def test_killed_run_resumes_bit_for_bit(finished, tmp_path):
    whole, _ = finished
    broken = tmp_path / "broken"
    flags = ("--workdir", str(broken), "--config.train.save_minutes=0.0")
    process = subprocess.Popen(command(*flags), cwd=ROOT, env=ENVIRONMENT,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    while process.poll() is None and not any(record["step"] >= 3 for record in logbook.read(broken)):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    again = run(*flags)
    assert again.returncode == 0, again.stderr
    assert "Resuming at step" in again.stdout
    assert deterministic(broken) == deterministic(whole)
    assert_same_checkpoints(whole, broken, step=8)


def assert_same_checkpoints(left, right, step):
    import orbax.checkpoint as ocp

    one, other = (
        ocp.StandardCheckpointer().restore(path / "checkpoints" / str(step) / "default") for path in (left, right)
    )
    assert one.keys() == other.keys()
    assert any(name.startswith("opt_state.rebalance.weights") for name in one)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_two_processes_train_as_two_devices_of_one(tmp_path):
    """Real processes, each with one device; the first one alone writes the run directory."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    flags = ["--config.train.epochs=1", "--config.model.heads=0", "--workdir"]
    together = ["--coordinator", f"localhost:{port}", "--processes", "2", "--process"]
    processes = [
        subprocess.Popen(command(*flags, str(tmp_path / "two"), *together, str(index)), cwd=ROOT, env=ENVIRONMENT,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for index in range(2)
    ]  # fmt: skip
    outputs = [process.communicate(timeout=600) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert "WHDR" in outputs[0][0]
    assert "WHDR" not in outputs[1][0]
    one = subprocess.run(command(*flags, str(tmp_path / "one")), cwd=ROOT, capture_output=True, timeout=600)
    assert one.returncode == 0, one.stderr
    for found, expected in zip(deterministic(tmp_path / "two"), deterministic(tmp_path / "one"), strict=True):
        assert found == pytest.approx(expected, rel=1e-4)
    (environment,) = json.loads((tmp_path / "two" / "environment.json").read_text())
    assert environment["processes"] == len(environment["devices"]) == 2


STAGES = """
from mdepth_jax.training.stages import load_file, staged

def get_config():
    first, second = load_file({kd!r}), load_file({kd!r})
    for stage in (first, second):  # ranking alone compiles faster
        stage.model.heads, stage.teacher.run = 0, ""
    first.train.epochs = 1
    second.optim.learning_rate = 1e-30  # It ends with the weights that it starts from.
    return staged("two", {{"second_by_name": first, "first_by_name": second}})
"""


def test_stages_run_in_order_and_resume_where_they_were_stopped(tmp_path):
    """The second stage is interrupted; the same command finishes it, and leaves the first as it was."""
    file = tmp_path / "stages.py"
    file.write_text(STAGES.format(kd=str(ROOT / "configs" / "kd.py")))
    workdir = tmp_path / "run"
    names = ("second_by_name", "first_by_name")
    flags = [flag.replace("--config.", f"--config.stages.{name}.") for flag in TINY[:-1] for name in names]
    line = [sys.executable, "-m", "mdepth_jax.train", "--config", str(file), "--workdir", str(workdir), *flags]
    process = subprocess.Popen(line, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               text=True)  # fmt: skip
    while process.poll() is None and not logbook.read(workdir / names[1]):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "Stopped at step" in output
    first = (workdir / names[0] / "report.md").read_text()
    again = subprocess.run(line, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=600)
    assert again.returncode == 0, again.stderr
    assert "was finished before" in again.stdout
    assert "Resuming at step" in again.stdout
    assert (workdir / names[0] / "report.md").read_text() == first
    assert logbook.read(workdir / names[1])[-1]["step"] == 20
    config = json.loads((workdir / names[1] / "config.json").read_text())
    assert config["model"]["start"] == str(workdir / names[0])
    start, end = (safetensors.numpy.load_file(workdir / name / "model.safetensors") for name in names)
    kernels = [name for name in start if name.endswith("kernel")]
    assert len(kernels) > 20
    for name in kernels:
        np.testing.assert_array_equal(end[name], start[name])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--config.train.epoch=2"], "epoch"),
        (["--config.train.epochs=two"], "epochs=two"),
        (["--config.data.batch_size=0"], "config.data.batch_size is 0"),
        (["--config.data.batch_size=64"], "a batch of 64 is larger than the data set of 16 images"),
        (["--config.loss.terms=rank"], "config.loss.terms"),
        (["--config.teacher.run=nowhere"], "nowhere does not exist"),
        (["--config.model.pretrained=nowhere.npz"], "nowhere.npz"),
        (["stray"], "'stray' is not a flag"),
        (["--konfig.seed=1"], "konfig"),
        (
            ["--coordinator=localhost:1", "--processes=2", "--process=2"],
            "--process is 2; with --processes=2 give 0 to 1",
        ),
        (["--processes=2", "--process=1"], "--processes and --process need --coordinator with HOST:PORT"),
        (["--config", "nothing.py"], "nothing.py"),
    ],
)
def test_mistakes_are_one_line(flags, message, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["train", *command("--workdir", str(tmp_path / "run"), *flags)[3:]])
    with flagsaver.flagsaver(), pytest.raises(SystemExit) as end:
        cli.run(train.main)
    assert end.value.code == 2
    lines = capfd.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert message in lines[-1]
    assert not (tmp_path / "run").exists()
