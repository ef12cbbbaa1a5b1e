import os
import platform
from types import SimpleNamespace

import numpy as np
import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.tensorflow_cpu import tf
from mdepth_jax.tflite import timing
from mdepth_jax.tflite.interpreter import open_interpreter


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Two 3x3 convolutions, one of them depthwise, with a resize between them that XNNPACK does not take."""
    rng = np.random.default_rng(0)
    kernel, depthwise, bias = (
        tf.constant(rng.normal(size=shape), tf.float32) for shape in ((3, 3, 3, 8), (3, 3, 8, 1), (8,))
    )

    @tf.function(input_signature=[tf.TensorSpec((1, 16, 16, 3))])
    def network(image):
        x = tf.nn.relu(tf.nn.conv2d(image, kernel, 2, "SAME") + bias)
        x = tf.raw_ops.ResizeNearestNeighbor(images=x, size=(16, 16), half_pixel_centers=False)
        return tf.nn.depthwise_conv2d(x, depthwise, (1, 1, 1, 1), "SAME")

    path = tmp_path_factory.mktemp("tflite") / "small.tflite"
    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.get_concrete_function()], network)
    path.write_bytes(converter.convert())
    return path


def test_summary_of_a_graph(file):
    graph = timing.summarize_graph(open_interpreter(file))
    assert graph.ops == {"CONV_2D": 1, "RESIZE_NEAREST_NEIGHBOR": 1, "DEPTHWISE_CONV_2D": 1}
    assert graph.not_delegated == {"RESIZE_NEAREST_NEIGHBOR": 1}
    assert graph.partitions == 2
    assert graph.macs == 8 * 8 * 8 * 27 + 16 * 16 * 8 * 9
    # TFLite adds zeros as the bias that the second convolution does not have.
    assert graph.parameters == 3 * 3 * 3 * 8 + 8 + 3 * 3 * 8 + 8


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_summary_without_a_delegate(file):
    resolver = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    graph = timing.summarize_graph(tf.lite.Interpreter(str(file), experimental_op_resolver_type=resolver))
    assert graph.partitions == 0
    assert graph.not_delegated == graph.ops


def test_bursts_take_turns(monkeypatch):
    """The clock shows the number of calls of `a`, in milliseconds, and that of `b`, in seconds."""
    calls = []
    monkeypatch.setattr(
        timing, "time", SimpleNamespace(perf_counter=lambda: calls.count("a") / 1000 + calls.count("b"))
    )
    times = timing.time_in_turn([lambda: calls.append("a"), lambda: calls.append("b")], rounds=2)
    np.testing.assert_allclose(times, np.broadcast_to([[[1.0]], [[1000.0]]], (2, 2, timing.BURST)), rtol=1e-9)
    burst = len(calls) // 4
    assert burst > timing.BURST
    assert calls == ["a"] * burst + ["b"] * burst + ["a"] * burst + ["b"] * burst


def test_figures_of_given_times(file, monkeypatch):
    def time_in_turn(functions, rounds):
        for function in functions:
            function()
        return np.arange(1.0, 1 + len(functions) * rounds * timing.BURST).reshape(len(functions), rounds, timing.BURST)

    monkeypatch.setattr(timing, "time_in_turn", time_in_turn)
    first, second = timing.benchmark_files([file, file], threads=1, rounds=2)
    assert (first.model, first.input, first.threads) == ("small.tflite", "1x16x16x3 float32", 1)
    assert (first.min_ms, first.p50_ms, first.ratio) == (1, 10.5, 1)
    assert first.p90_ms == pytest.approx(1 + 0.9 * 19)
    assert second.ratio == pytest.approx((25.5 / 5.5 + 35.5 / 15.5) / 2)
    assert first.file_mb == file.stat().st_size / 1e6
    assert second.graph == first.graph
    assert timing.time_files([file, file], threads=1, rounds=2) == [1, 21]
    assert first.to_row().keys() == {
        "model", "input", "threads", "p50_ms", "p90_ms", "min_ms", "ratio", "file_mb", "memory_mb",
        "parameters", "macs", "ops", "not_delegated", "partitions",
    }  # fmt: skip


def test_times_of_a_real_run(file):
    (result,) = timing.benchmark_files([file], threads=1, rounds=1)
    assert 0 < result.min_ms <= result.p50_ms <= result.p90_ms < np.inf
    assert result.memory_mb is None or np.isfinite(result.memory_mb)


def test_setting_names_the_processor_and_the_runs():
    setting = timing.describe_setting(3)
    assert platform.machine() in setting
    assert setting.endswith(f"{os.cpu_count()} cores, 3 x {timing.BURST} runs")


def test_peak_memory_is_what_the_system_reports(tmp_path, monkeypatch):
    def allocate():
        (tmp_path / "status").write_text("Name:\tpython\nVmHWM:\t    3500 kB\nVmRSS:\t    1200 kB\n")
        return "result"

    monkeypatch.setattr(timing, "_PROCESS", tmp_path)
    (tmp_path / "status").write_text("Name:\tpython\nVmHWM:\t    9000 kB\nVmRSS:\t    1000 kB\n")
    assert timing._measure_peak_memory(allocate) == ("result", 2500 * 1024 / 1e6)
    assert (tmp_path / "clear_refs").read_text() == "5"


def test_peak_memory_of_another_system(tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "_PROCESS", tmp_path / "none")
    assert timing._measure_peak_memory(lambda: "result") == ("result", None)


def test_no_such_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        timing.benchmark_files([tmp_path / "none.tflite"], threads=1, rounds=1)
