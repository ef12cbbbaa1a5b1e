"""The model card of an exported file: all that its user has to know, in Markdown."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import tabulate
from ml_collections import ConfigDict

from mdepth_jax import licenses
from mdepth_jax.export import verification
from mdepth_jax.export.metadata import list_licenses
from mdepth_jax.export.verification import Proof
from mdepth_jax.metrics import whdr_interval
from mdepth_jax.models import Header
from mdepth_jax.tflite.quantization import FLOAT16_MAX
from mdepth_jax.training.provenance import has_unit

UNKNOWN = "unknown"
PAPER = "*Real-time Monocular Depth Estimation with Sparse Supervision on Mobile* (Yucel et al., CVPRW 2021)"
Rows = Iterable[tuple[str, object]]


class Timing(NamedTuple):
    """How fast a file is.

    Attributes:
        row: Of `timing.benchmark_files`.
        setting: Of `timing.describe_setting`.
    """

    row: Mapping[str, Any]
    setting: str


def card(
    file: str,
    metadata: Mapping[str, Any],
    config: ConfigDict,
    header: Header,
    network: str,
    proof: Proof,
    timing: Timing,
) -> str:
    """Writes the card of a file. What its run has not written down is called unknown.

    Args:
        file: The file's name, `m.tflite`.
        metadata: Of the file, see `export.describe`.
        config: Of the run, with the size of the images in training.
        header: Header of the weights.
        network: Size and cost of the network, in words.
        proof: Of the file.
        timing: Of the file.
    """
    sections = {
        "Input and output": _table(_interface(metadata, timing.row)),
        "Check it in your app": _golden(file, timing.row),
        "Training": f"{_table(_training(config, header))}\n\n{_commands(header)}",
        "Accuracy": _accuracy(metadata["scores"], config, proof),
        "This file": _table(_file(metadata, proof, timing)),
        "Licenses": licenses.format_table(list_licenses(header)),
        "Limits": _limits(metadata, config, proof, timing.row),
    }
    head = (
        f"# {file}\n\nDepth from one photograph: {metadata['name']}, {network}. Trained and exported by mdepth_jax "
        f"{metadata['version']}, a reimplementation in JAX of {PAPER}.\n"
    )
    return "\n".join([head, *(f"## {title}\n\n{text}\n" for title, text in sections.items())])


def _interface(metadata: Mapping[str, Any], row: Mapping[str, Any]) -> Rows:
    return [
        ("input `image`", f"{row['input']}; {metadata['input']}"),
        ("output `depth`", metadata["output"]),
        ("sign", "a larger value is farther away; this is not disparity"),
    ]


def _golden(file: str, row: Mapping[str, Any]) -> str:
    integers = "" if "float32" in row["input"] else " The integers that come out have a scale and a zero in the file."
    stem = file.removesuffix(".tflite")
    return (
        f"Feed `{stem}.golden.png` as it is. What comes out must equal `{stem}.golden.f32` (little-endian float32, row "
        "after row) but for a small part of its range. A large difference means that the app scales, turns or orders "
        "the image otherwise." + integers
    )


def _training(config: ConfigDict, header: Header) -> Rows:
    data, optim, teacher = config.data, config.optim, config.teacher
    terms = "+".join(header.terms) or config.loss.terms
    depths = [f"cached maps in {data.root}/teacher"] if teacher.maps else []
    yield "data", f"{data.count} rendered scenes" if data.source == "scenes" else f"{data.root}, split {data.train}"
    if data.unlabelled:
        yield "images without labels", data.unlabelled
    yield "losses", "ranking, and what the teacher allows" if terms == "auto" else terms.replace("+", " + ")
    order, strength = config.rebalance.order, config.rebalance.strength
    yield "their weights", "not rebalanced" if order == "off" else f"rebalanced {order}, strength {strength:g}"
    yield "teacher", " and ".join([*depths, teacher.run] if teacher.run else depths) or "none"
    yield "images", f"{data.height}x{data.width} (HxW), batches of {data.batch_size}"
    yield "optimiser", f"{optim.optimizer}, learning rate {optim.learning_rate:g}, {optim.schedule}"
    yield "length", UNKNOWN if header.step is None else f"{config.train.epochs} epochs; step {header.step} is the best"
    yield "began with", _beginning(config, header)
    yield "seed", config.seed


def _commands(header: Header) -> str:
    commands = [run.command or UNKNOWN for run in header.lineage]
    return "\n".join(["Commands, the last one made these weights:\n", *(f"    {command}" for command in commands)])


def _beginning(config: ConfigDict, header: Header) -> str:
    if header.earlier:
        return "the weights of the run before"
    if config.model.start or config.model.widths:
        return config.model.start or UNKNOWN
    return config.model.pretrained or "random weights"


def _accuracy(scores: Mapping[str, Any], config: ConfigDict, proof: Proof) -> str:
    data = config.data
    held_out = f"{data.eval_count} rendered scenes" if data.source == "scenes" else f"{data.root}, split {data.eval}"
    rows = []
    if "whdr" in scores:
        rows.append(("network", "WHDR", *_whdr(scores["whdr"], scores.get("pairs", 0)), held_out))
    for name, title in (("rmse", "RMSE"), ("delta1", "delta1"), ("si_rmse", "SI-RMSE")):
        if name in scores:
            maps = f"{scores.get('depth_maps') or UNKNOWN} maps"
            rows.append(("network", title, f"{scores[name]:.4f}", "not computed", maps, held_out))
    if proof.pairs:
        for name, whdr in (("network", proof.network_whdr), ("this file", proof.file_whdr)):
            rows.append((name, "WHDR", *_whdr(whdr, proof.pairs), "the pairs given to the conversion"))
    if not rows:
        return "Unknown: the weights tell no score, and the conversion was given no pairs."
    table = tabulate.tabulate(
        rows, headers=("of", "metric", "value", "95 %", "n", "held-out set"), tablefmt="github", disable_numparse=True
    )
    return (
        f"{table}\n\nWHDR is the share of pairs of points that are ordered wrongly. Its interval is about the choice "
        "of pairs; what another seed would give is not in it. The scores of the run are those of its best evaluation: "
        "the same set chose the weights."
    )


def _whdr(rate: float, pairs: int) -> tuple[str, str, str]:
    """Value, interval and number of pairs."""
    if not pairs:
        return f"{rate:.4f}", UNKNOWN, UNKNOWN
    return f"{rate:.4f}", f"+- {whdr_interval(rate, pairs):.4f}", f"{pairs} pairs"


def _file(metadata: Mapping[str, Any], proof: Proof, timing: Timing) -> Rows:
    row, agreement = timing.row, proof.agreement
    yield "size", f"{row['file_mb']:.2f} MB"
    yield "quantisation", metadata["quantization"]
    yield "largest error", f"{agreement.error:.1e} of the range of the network's depth"
    yield "rank correlation", f"{agreement.spearman:.5f} with the network's depth"
    yield "compared on", f"{proof.images} images ({proof.origin})"
    yield "gate, passed", verification.describe_gate(metadata["quantization"])
    yield "largest value inside", f"{proof.extreme:.3g}; GPUs that compute in float16 hold {FLOAT16_MAX:g}"
    yield "latency", f"{row['p50_ms']:.1f} ms (median; p90 {row['p90_ms']:.1f}, least {row['min_ms']:.1f})"
    yield "measured on", f"{timing.setting}, {row['threads']} thread, XNNPACK, in the midst of the conversion"
    yield "operators", _counts(row["ops"])
    yield "not delegated", _counts(row["not_delegated"])
    yield "parts under XNNPACK", row["partitions"]
    yield "SHA-256 of the weights", metadata["weights_sha256"]


def _counts(ops: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in ops.items()) or "none"


def _limits(metadata: Mapping[str, Any], config: ConfigDict, proof: Proof, row: Mapping[str, Any]) -> str:
    trained, size = f"{config.data.height}x{config.data.width}", "x".join(row["input"].split("x")[1:3])
    scenes = "rendered scenes, which are no photographs" if config.data.source == "scenes" else "the data named above"
    meaning = (
        "Its unit is that of the depth maps of its training; with another lens it is off by an unknown factor."
        if has_unit(config)
        else "Relative depth keeps the order of things, not their proportions: planes come out bent, angles and sizes "
        "cannot be read off, and no single factor turns it into metres."
    )
    limits = [
        meaning,
        f"Trained on {scenes}: other scenes, cameras and light, mirrors and glass have not been measured.",
        f"It sees {size} pixels (HxW): what is thinner than one of them is lost."
        + ("" if size == trained else f" It was trained at {trained}, where its accuracy was measured."),
        "Every image is judged by itself; depth of neighbouring frames of a video may differ in range.",
        "Not fit to decide over anybody's safety.",
    ]
    if proof.extreme > FLOAT16_MAX:
        limits.append("Values inside overflow in float16: not for GPUs that compute in it.")
    if metadata["quantization"] in ("int8", "dynamic"):
        limits.append("Quantised: small differences of depth are steps, and the gate holds the order of depths alone.")
    return "\n".join(f"- {limit}" for limit in limits)


def _table(rows: Rows) -> str:
    return tabulate.tabulate(rows, headers=("", ""), tablefmt="github", disable_numparse=True)
