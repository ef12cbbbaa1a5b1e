from dataclasses import replace

import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.tflite import phone

START = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Min num runs: [50]
INFO: Num threads: [1]
INFO: Report the peak memory footprint: [1]
INFO: Graph: [/data/local/tmp/mdepth_jax_0.tflite]
INFO: Signature to run: []
INFO: #threads used for CPU inference: [1]
"""
STATISTICS = """\
INFO: The input model file size (MB): 10.2431
INFO: Initialized session in 21.442ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=37 first=21871 curr=13325 min=13102 max=21871 avg=13648.2 std=1398 p5=13120 median=13377 p95=14460

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=75 first=13377 curr=13290 min=13057 max=14021 avg=13343.9 std=176 p5=13101 median=13312 p95=13688

INFO: Inference timings in us: Init: 21442, First inference: 21871, Warmup (avg): 13648.2, Inference (avg): 13343.9
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual \
memory footprint of the model at runtime. Take the information at your discretion.
INFO: Memory footprint delta from the start of the tool (MB): init=24.0391 overall=29.7539
INFO: Overall peak memory footprint (MB) via periodic monitoring: 35.8633
INFO: Memory status at the end of exeution:
INFO: - VmRSS              : 32 MB
"""
CPU = f"""{START}INFO: Loaded model /data/local/tmp/mdepth_jax_0.tflite
INFO: Initialized TensorFlow Lite runtime.
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
VERBOSE: Replacing 9 out of 9 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 1 partitions for subgraph 0.
{STATISTICS}"""
GPU = f"""{START}INFO: Use gpu: [1]
INFO: Created TensorFlow Lite delegate for GPU.
INFO: GPU delegate created.
VERBOSE: Replacing 9 out of 9 node(s) with delegate (TfLiteGpuDelegateV2) node, yielding 1 partitions for subgraph 0.
INFO: Initialized OpenCL-based API.
INFO: Created 1 GPU delegate kernels.
INFO: Explicitly applied GPU delegate, and the model graph will be completely executed by the delegate.
{STATISTICS}"""
NNAPI = f"""{START}INFO: Use NNAPI: [1]
INFO: NNAPI accelerators available: [nnapi-reference]
INFO: Created TensorFlow Lite delegate for NNAPI.
INFO: NNAPI delegate created.
INFO: %s
{STATISTICS}"""
REFUSED = "Though NNAPI delegate is explicitly applied, the model graph will not be executed by the delegate."
PARTIAL = (
    "Explicitly applied NNAPI delegate, and the model graph will be partially executed by the delegate"
    " w/ 3 delegate kernels."
)
OLD = """\
STARTING!
Log parameter values verbosely: [0]
Graph: [/data/local/tmp/mdepth_jax_0.tflite]
Loaded model /data/local/tmp/mdepth_jax_0.tflite
Initialized session in 3.2ms.
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=1 first=1402311 curr=1402311 min=1402311 max=1402311 avg=1.40231e+06 std=0

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=50 first=1398211 curr=1401022 min=1390411 max=1412011 avg=1.40102e+06 std=2310

Inference timings in us: Init: 3200, First inference: 1402311, Warmup (avg): 1.40231e+06, Inference (avg): 1.40102e+06
"""
FAILED = f"""{START}INFO: Loaded model /data/local/tmp/mdepth_jax_0.tflite
ERROR: Node number 57 (BATCH_MATMUL) failed to prepare.
ERROR: Failed to allocate tensors!
ERROR: Benchmarking failed.
"""


def test_parse_output():
    timing = phone.parse_output(CPU)
    assert timing == phone.PhoneTiming("CPU", 75, 13.057, 13.3439, 13.312, 13.688, 35.8633)
    assert phone.parse_output(GPU) == replace(timing, ran_on="GPU")
    assert phone.parse_output(NNAPI % PARTIAL) == replace(timing, ran_on="NNAPI in part")
    assert phone.parse_output(NNAPI % REFUSED) == timing
    assert phone.parse_output(OLD) == phone.PhoneTiming("CPU", 50, 1390.411, 1401.02, None, None, None)


@pytest.mark.parametrize(("text", "message"), [
    (FAILED, "BATCH_MATMUL"), ("sh: permission denied\n", "permission denied"), ("", "printed nothing"),
])  # fmt: skip
def test_a_tool_that_fails(text, message):
    with pytest.raises(UserError, match=message):
        phone.parse_output(text)


def test_every_file_on_every_delegate(adb, tmp_path):
    for name, text in {"cpu": CPU, "gpu": FAILED, "nnapi": NNAPI % REFUSED}.items():
        (tmp_path / name).write_text(text)
    log = adb(f"""case "$2" in
        "getprop ro.product.model"|getprop) echo "Phone 1";;
        ls*) echo /data/local/tmp/benchmark_model;;
        *use_gpu*) cat {tmp_path}/gpu;;
        *use_nnapi*) cat {tmp_path}/nnapi;;
        */benchmark_model*) cat {tmp_path}/cpu;;
        esac""")
    assert phone.find_phone() == "Phone 1"
    paths = [tmp_path / "a.tflite", tmp_path / "b.tflite"]
    rows = [result.to_row() for result in phone.benchmark_on_phone(paths, threads=2, runs=30)]
    assert [(row["model"], row["asked_for"], row["ran_on"]) for row in rows if row["asked_for"] != "GPU"] == [
        ("a.tflite", "CPU", "CPU"), ("b.tflite", "CPU", "CPU"),
        ("a.tflite", "NNAPI", "CPU"), ("b.tflite", "NNAPI", "CPU"),
    ]  # fmt: skip
    assert rows[1]["ratio"] == 1
    assert rows[2] == {
        "model": "a.tflite", "asked_for": "GPU",
        "ran_on": "failed: benchmark_model: Node number 57 (BATCH_MATMUL) failed to prepare.",
    }  # fmt: skip
    commands = log.read_text().splitlines()
    assert f"push {paths[1]} /data/local/tmp/mdepth_jax_1.tflite" in commands
    assert sum("--num_threads=2 --num_runs=30" in command for command in commands) == 6
    assert commands[-1] == "shell rm /data/local/tmp/mdepth_jax_0.tflite /data/local/tmp/mdepth_jax_1.tflite"


def test_fastest_inferences_on_the_cpu(adb, tmp_path):
    (tmp_path / "cpu").write_text(CPU)
    (tmp_path / "failed").write_text(FAILED)
    log = adb(f"""case "$2" in
        ls*) echo /data/local/tmp/benchmark_model;;
        *mdepth_jax_2*) cat {tmp_path}/failed;;
        */benchmark_model*) cat {tmp_path}/cpu;;
        esac""")
    paths = [tmp_path / f"{name}.tflite" for name in "abc"]
    assert phone.time_files(paths[:2], threads=1, runs=30) == [13.057, 13.057]
    assert "use_" not in log.read_text()
    with pytest.raises(UserError, match=r"c\.tflite on the phone's CPU: failed: benchmark_model: Node number 57"):
        phone.time_files(paths, threads=1, runs=30)


def test_the_tool_is_pushed_or_missed(adb, tmp_path):
    log = adb("echo 'ls: /data/local/tmp/benchmark_model: No such file or directory'; exit 1")
    with pytest.raises(UserError, match="set `tool` to the file"):
        phone.benchmark_on_phone([], threads=1, runs=1)
    with pytest.raises(UserError, match=r"adb shell .*No such file"):
        phone.benchmark_on_phone([], threads=1, runs=1, tool=tmp_path / "tool")
    assert f"push {tmp_path}/tool /data/local/tmp/benchmark_model" in log.read_text()


@pytest.mark.parametrize(("devices", "message"), [
    ("", "no phone is connected"), ("ABC123\tunauthorized", "ABC123 is unauthorized"),
])  # fmt: skip
def test_no_phone(adb, devices, message):
    adb("exit 1", devices)
    with pytest.raises(UserError, match=message):
        phone.find_phone()


def test_no_adb(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="adb is not installed"):
        phone.find_phone()
