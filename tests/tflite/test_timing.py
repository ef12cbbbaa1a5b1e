import os
import platform
import time

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


def test_contents(file):
    contents = timing.count_contents(open_interpreter(file))
    assert contents.ops == {"CONV_2D": 1, "RESIZE_NEAREST_NEIGHBOR": 1, "DEPTHWISE_CONV_2D": 1}
    assert contents.not_delegated == {"RESIZE_NEAREST_NEIGHBOR": 1}
    assert contents.partitions == 2
    assert contents.macs == 8 * 8 * 8 * 27 + 16 * 16 * 8 * 9
    # TFLite adds zeros as the bias that the second convolution does not have.
    assert contents.parameters == 3 * 3 * 3 * 8 + 8 + 3 * 3 * 8 + 8


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_contents_without_a_delegate(file):
    resolver = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    contents = timing.count_contents(tf.lite.Interpreter(str(file), experimental_op_resolver_type=resolver))
    assert contents.partitions == 0
    assert contents.not_delegated == contents.ops


def test_bursts_take_turns():
    calls = []

    def function(name, seconds):
        return lambda: (calls.append(name), time.sleep(seconds))

    times = timing.time_in_turn([function("a", 0), function("b", 0.002)], rounds=2)
    assert times.shape == (2, 2, timing.BURST)
    assert (times[1] >= 2).all()
    assert times[0].min() < 2
    burst = len(calls) // 4
    assert burst > timing.BURST
    assert calls == ["a"] * burst + ["b"] * burst + ["a"] * burst + ["b"] * burst


def test_rows(file):
    first, second = timing.benchmark_files([file, file], threads=1, rounds=2)
    assert first["model"] == "small.tflite"
    assert first["input"] == "1x16x16x3 float32"
    assert first["ratio"] == 1
    assert second["ratio"] > 0
    assert 0 < first["min_ms"] <= first["p50_ms"] <= first["p90_ms"]
    assert first["file_mb"] == file.stat().st_size / 1e6
    assert first["memory_mb"] is None or first["memory_mb"] >= 0
    assert second["ops"] == first["ops"]


def test_setting_names_the_processor_and_the_runs():
    setting = timing.describe_setting(3)
    assert platform.machine() in setting
    assert setting.endswith(f"{os.cpu_count()} cores, 3 x {timing.BURST} runs")


def test_peak_memory():
    _, megabytes = timing._with_peak_memory(lambda: np.ones(40_000_000, np.uint8).sum())
    assert megabytes is None or 39 < megabytes < 60


def test_no_such_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        timing.benchmark_files([tmp_path / "none.tflite"], threads=1, rounds=1)
