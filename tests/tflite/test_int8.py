import numpy as np
import pytest
from tensorflow.lite.python import schema_py_generated as schema

from mdepth_jax.errors import UserError
from mdepth_jax.tflite import flatbuffer, int8
from mdepth_jax.tflite.conversion import convert
from mdepth_jax.tflite.interpreter import create_interpreter
from mdepth_jax.tflite.recorder import Recorder
from tests.tflite.networks import SIZE, convolve, make_network

KINDS = {"conv": schema.Conv2DOptionsT, "depthwise": schema.DepthwiseConv2DOptionsT}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("sides", "size", "stride", "padding"),
    [((5, 7), 3, 2, "SAME"), ((4, 6), 5, 1, "SAME"), ((6, 8), 3, 2, "VALID"), ((1, 1), 3, 1, "SAME")],
)
def test_mean_of_the_output_of_a_convolution(kind, sides, size, stride, padding):
    random, depthwise = np.random.default_rng(0), kind == "depthwise"
    x = random.normal(size=(*sides, 3))
    kernel = random.normal(size=(1, size, size, 3) if depthwise else (4, size, size, 3))
    options = KINDS[kind](padding=getattr(schema.Padding, padding), strideH=stride, strideW=stride)
    axes = (1, 2, 0, 3) if depthwise else (1, 2, 3, 0)
    expected = convolve(x, kernel.transpose(axes), stride, padding)
    np.testing.assert_allclose(int8.mean_output(x, kernel, options), expected.mean((0, 1)), rtol=1e-12)


def test_error_of_rounded_weights():
    kernel = np.zeros((2, 1, 1, 3), np.float32)
    kernel[0, 0, 0] = 254, 1.2, -0.8  # a scale of 2; the other channel is all zeros
    expected = np.zeros_like(kernel)
    expected[0, 0, 0] = 0, 0.8, 0.8
    np.testing.assert_allclose(int8.weight_error(kernel, KINDS["conv"]()), expected, atol=1e-6)
    across = kernel.reshape(1, 2, 1, 3)
    np.testing.assert_allclose(int8.weight_error(across, KINDS["depthwise"]()), np.zeros_like(across), atol=1e-6)


def kernels(content):
    """Yields options, kernel and scales of the convolutions of a file."""
    model = flatbuffer.parse_model(content)
    (graph,) = model.subgraphs
    for operator in graph.operators:
        if isinstance(operator.builtinOptions, int8.ConvOptions):
            kernel = graph.tensors[operator.inputs[1]]
            kind = np.float32 if kernel.type == schema.TensorType.FLOAT32 else np.int8
            values = np.frombuffer(bytes(model.buffers[kernel.buffer].data), kind).reshape(kernel.shape)
            yield operator.builtinOptions, values, kernel.quantization


def test_weights_of_a_file_have_the_computed_error(content, images):
    """TensorFlow's quantizer rounds as `weight_error` does, but for ties in its single precision."""
    rounded = kernels(int8.quantize(content, images[:1], integer_io=False))
    pairs = list(zip(kernels(content), rounded, strict=True))
    assert len(pairs) == 20 + 13 + 1 + 4 * 2
    for (options, before, _), (_, integers, parameters) in pairs:
        others = [axis for axis in range(4) if axis != parameters.quantizedDimension]
        scale = np.expand_dims(parameters.scale, others)
        wrong = np.abs(integers * scale - before - int8.weight_error(before, options)) > 1e-3 * scale
        assert wrong.mean() < 1e-3


def test_statistics_cover_all_images(content, images):
    recorder, values = Recorder(content), []
    for image in images:
        recorder.run(image)
        values.append({name: recorder[name][0] for name in (recorder.input, *recorder.operators)})
    statistics = int8.calibrate(content, images)
    assert statistics.keys() == values[0].keys()
    for name, activation in statistics.items():
        stacked = np.stack([each[name] for each in values])
        np.testing.assert_allclose(activation.mean, stacked.mean(0), rtol=1e-6, atol=1e-6)
        if name != recorder.input:
            assert (activation.low, activation.high) == (stacked.min(), stacked.max())


def test_the_bytes_of_an_image_are_the_input(content, images):
    """Also where the calibration images are neither black nor white."""
    pale = [image // 2 + 60 for image in images[:2]]
    (details,) = create_interpreter(model_content=int8.quantize(content, pale, integer_io=True)).get_input_details()
    assert (details["dtype"], details["quantization"]) == (np.uint8, (1.0, 0))


@pytest.fixture(scope="module")
def shifted():
    """A file whose first activations are far from zero, as in trained networks."""
    network = make_network()
    network.encoder.stem.norm.bias[...] += 3
    return convert(network, *SIZE)


def test_inputs_of_a_sum_have_their_own_scales(shifted, images):
    """TensorFlow's calibrator would assign the scale of the sum, which overwrites an input in place."""
    statistics, operators = int8.calibrate(shifted, images), Recorder(shifted).operators
    interpreter = create_interpreter(model_content=int8.quantize(shifted, images, integer_io=False))
    scales = {detail["name"]: detail["quantization"][0] for detail in interpreter.get_tensor_details()}
    summands = {name for result, names in operators.items() if result.endswith("add") for name in names}
    projections = [name for name in summands if "project/" in name]
    assert projections
    for name in projections:
        assert scales[name] == pytest.approx((statistics[name].high - statistics[name].low) / 255, rel=1e-3)


def test_rounding_does_not_shift_the_mean_of_a_channel(shifted, images, monkeypatch):
    """In the first depthwise convolution."""

    def mean_shift():
        files = [Recorder(kind) for kind in (shifted, int8.quantize(shifted, images, integer_io=False))]
        (name,) = (name for name in files[0].operators if "encoder/blocks/0/depthwise" in name)
        total = 0.0
        for image in images:
            for file in files:
                file.run(image)
            total = total + (files[1][name] - files[0][name]).mean((0, 1, 2))
        return np.abs(total).mean() / len(images)

    corrected = mean_shift()
    monkeypatch.setattr(int8, "correct_biases", lambda model, means: None)
    assert corrected < 0.1 * mean_shift()


def test_no_image_to_calibrate_with(content):
    with pytest.raises(UserError, match="int8 is calibrated on images, and there is none"):
        int8.quantize(content, [], integer_io=False)
