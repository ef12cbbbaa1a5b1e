"""Model card of an exported file: everything that its user has to know, in Markdown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import tabulate
from ml_collections import ConfigDict

from mdepth_jax import licenses
from mdepth_jax.export.metadata import Metadata
from mdepth_jax.export.verification import Verification, describe_limits
from mdepth_jax.models import Header
from mdepth_jax.models.score import TITLES, Score
from mdepth_jax.tflite.quantization import FLOAT16_MAX
from mdepth_jax.tflite.timing import FileTiming
from mdepth_jax.training.provenance import describe_initial_weights, has_unit, list_licenses
from mdepth_jax.training.recipe import describe_lacks, find_lacks

UNKNOWN = licenses.UNKNOWN
PAPER = "*Real-time Monocular Depth Estimation with Sparse Supervision on Mobile* (Yucel et al., CVPRW 2021)"
Rows = Iterable[tuple[str, object]]


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Contents of the card of a file. Whatever the run did not record is called unknown.

    Attributes:
        metadata: Metadata of the file.
        config: Configuration of the run, with the size of the images in training.
        header: Header of the weights.
        network: Size and cost of the network, in words.
        verification: Agreement of the file with its network.
        timing: Name, times and operators of the file.
        setting: Processor and number of runs of the timing, in words.
    """

    metadata: Metadata
    config: ConfigDict
    header: Header
    network: str
    verification: Verification
    timing: FileTiming
    setting: str

    def to_markdown(self) -> str:
        """Formats the card."""
        sections = {
            "Input and output": _table(_interface(self)),
            "Check it in your app": _golden(self.timing),
            "Training": f"{_table(_training(self.config, self.header))}\n\n{_commands(self.header)}",
            "Accuracy": _accuracy(self),
            "This file": _table(_file(self)),
            "Licenses": licenses.format_table(list_licenses(self.header)),
            "Limits": _limits(self),
        }
        head = (
            f"# {self.timing.model}\n\nDepth from one photograph: {self.metadata.name}, {self.network}. Trained and "
            f"exported by mdepth_jax {self.metadata.version}, a reimplementation in JAX of {PAPER}.\n"
        )
        return "\n".join([head, *(f"## {title}\n\n{text}\n" for title, text in sections.items())])


def _interface(card: ModelCard) -> Rows:
    return [
        ("input `image`", f"{card.timing.input}; {card.metadata.input}"),
        ("output `depth`", card.metadata.output),
        ("sign", "a larger value is farther away; this is not disparity"),
    ]


def _golden(timing: FileTiming) -> str:
    integers = "" if "float32" in timing.input else " An integer output has its scale and zero point in the file."
    stem = timing.model.removesuffix(".tflite")
    return (
        f"Feed `{stem}.golden.png` as it is. The output must equal `{stem}.golden.f32` (little-endian float32, row "
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
    yield "losses", "ranking, and those that the teacher allows" if terms == "auto" else terms.replace("+", " + ")
    order, strength = config.rebalance.order, config.rebalance.strength
    yield "their weights", "not rebalanced" if order == "off" else f"rebalanced {order}, strength {strength:g}"
    yield "teacher", " and ".join([*depths, teacher.run] if teacher.run else depths) or "none"
    yield "images", f"{data.height}x{data.width} (HxW), batches of {data.batch_size}"
    yield "optimizer", f"{optim.optimizer}, learning rate {optim.learning_rate:g}, {optim.schedule}"
    yield "length", UNKNOWN if header.step is None else f"{config.train.epochs} epochs; weights of step {header.step}"
    yield "initial weights", describe_initial_weights(config, header.earlier)
    if lacks := find_lacks(header.lineage):
        yield "not the whole recipe of the paper", f"without {describe_lacks(lacks)}"
    yield "seed", config.seed


def _commands(header: Header) -> str:
    commands = [run.command or UNKNOWN for run in header.lineage]
    return "\n".join(["Commands, the last one made these weights:\n", *(f"    {command}" for command in commands)])


def _accuracy(card: ModelCard) -> str:
    scores, verification = card.header.scores, card.verification
    rows = [
        _score_row("network", TITLES[name], score.value, score.interval, _count(score), score.origin)
        for name, score in scores.items()
    ]
    if verification.pairs:
        judged = f"{verification.pairs} pairs", "the pairs given to the conversion"
        rows += [
            _score_row("network", "WHDR", verification.network_whdr, verification.network_interval, *judged),
            _score_row("this file", "WHDR", verification.file_whdr, verification.file_interval, *judged),
        ]
    if not rows:
        return "Unknown: the weights hold no score, and the conversion was given no pairs."
    table = tabulate.tabulate(
        rows, headers=("of", "metric", "value", "95 %", "n", "measured on"), tablefmt="github", disable_numparse=True
    )
    return (
        f"{table}\n\nWHDR is the share of pairs of points that are ordered wrongly. Its interval covers the choice of "
        "images (bootstrap), not the variation between seeds. A test set is read once, after the weights are chosen."
    )


def _count(score: Score) -> str:
    return f"{score.count or UNKNOWN} {'pairs' if score.metric == 'whdr' else 'maps'}"


def _score_row(of: str, title: str, value: float, interval: float | None, count: str, origin: str) -> tuple[str, ...]:
    return of, title, f"{value:.4f}", "not computed" if interval is None else f"+- {interval:.4f}", count, origin


def _file(card: ModelCard) -> Rows:
    timing, verification = card.timing, card.verification
    yield "size", f"{timing.file_mb:.2f} MB"
    yield "quantization", card.metadata.quantization
    yield "largest error", f"{verification.agreement.error:.1e} of the range of the network's depth"
    yield "rank correlation", f"{verification.agreement.spearman:.5f} with the network's depth"
    yield "compared on", f"{verification.images} images ({verification.origin})"
    yield "limits, kept", describe_limits(card.metadata.quantization)
    yield "largest activation", f"{verification.max_activation:.3g}; GPUs that compute in float16 hold {FLOAT16_MAX:g}"
    yield "latency", f"{timing.p50_ms:.1f} ms (median; p90 {timing.p90_ms:.1f}, least {timing.min_ms:.1f})"
    yield "measured on", f"{card.setting}, {timing.threads} thread, XNNPACK, right after the conversion"
    yield "operators", _counts(timing.graph.ops)
    yield "not delegated", _counts(timing.graph.not_delegated)
    yield "partitions under XNNPACK", timing.graph.partitions
    yield "SHA-256 of the weights", card.metadata.weights_sha256


def _counts(ops: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in ops.items()) or "none"


def _limits(card: ModelCard) -> str:
    data = card.config.data
    trained, size = f"{data.height}x{data.width}", "x".join(card.timing.input.split("x")[1:3])
    scenes = "rendered scenes, which are no photographs" if data.source == "scenes" else "the data named above"
    meaning = (
        "Its unit is that of the depth maps of its training; with another lens it is off by an unknown factor."
        if has_unit(card.config)
        else "Relative depth keeps the order of things, not their proportions: planes come out bent, angles and sizes "
        "cannot be read off, and no single factor turns it into meters."
    )
    limits = [
        meaning,
        f"Trained on {scenes}: other scenes, cameras and light, mirrors and glass have not been measured.",
        f"It sees {size} pixels (HxW): objects thinner than one of them are lost."
        + ("" if size == trained else f" It was trained at {trained}, where its accuracy was measured."),
        "Every image is judged by itself; depth of neighboring frames of a video may differ in range.",
        "Not fit to decide over anybody's safety.",
    ]
    if card.verification.max_activation > FLOAT16_MAX:
        limits.append("Activations overflow in float16: not for GPUs that compute in it.")
    if card.metadata.quantization in ("int8", "dynamic"):
        limits.append("Quantized: small differences of depth are steps, and only the order of depths was verified.")
    return "\n".join(f"- {limit}" for limit in limits)


def _table(rows: Rows) -> str:
    return tabulate.tabulate(rows, headers=("", ""), tablefmt="github", disable_numparse=True)
