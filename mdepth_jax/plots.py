"""Pictures: depth in colors, curves of a run, comparisons of networks."""

import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float, Int, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mdepth_jax.files import atomic_path

_NEAR_BRIGHT = (matplotlib.colormaps["inferno"](np.arange(256))[:, :3] * 255).astype(np.uint8)


class DepthRange(NamedTuple):
    """Range of depths.

    Attributes:
        low: Lower end.
        high: Upper end.
    """

    low: float
    high: float


def depth_limits(depth: Float[np.ndarray, "height width"]) -> DepthRange:
    """Computes the 2nd and the 98th percentile of the known (finite) values of a map; 0 and 0 if there are none."""
    known = depth[np.isfinite(depth)]
    if not known.size:
        return DepthRange(0.0, 0.0)
    return DepthRange(*np.percentile(known, [2, 98]).tolist())


def colorize(
    depth: Float[np.ndarray, "height width"], limits: DepthRange | None = None
) -> UInt8[np.ndarray, "height width 3"]:
    """Converts depth to colors, near bright and far dark; unknown (NaN) is gray.

    Args:
        depth: Depth; larger = farther.
        limits: Depths of the brightest and the darkest color; None: `depth_limits`.
    """
    low, high = limits or depth_limits(depth)
    nearness = (np.float32(high) - depth) * np.float32(256 / max(high - low, 1e-6))
    known = np.isfinite(depth)
    painted = _NEAR_BRIGHT[np.where(known, np.clip(nearness, 0, 255), 0).astype(np.uint8)]
    painted[~known] = 128
    return painted


def prediction_grid(
    images: UInt8[np.ndarray, "n height width 3"],
    predictions: Float[np.ndarray, "n height width 1"],
    references: Float[np.ndarray, "n height width 1"] | None = None,
) -> UInt8[np.ndarray, "grid_height grid_width 3"]:
    """Builds one picture with a row for each image: image, prediction and, if given, reference depth."""
    rows = []
    for index, image in enumerate(images):
        row = [image, colorize(predictions[index, ..., 0])]
        if references is not None:
            row.append(colorize(references[index, ..., 0]))
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows, axis=0)


def save_curves(path: pathlib.Path, records: Sequence[dict[str, Any]]) -> None:
    """Draws losses, their weights and scores over the steps of a run into a PNG.

    Args:
        path: Path of the PNG.
        records: Records of `metrics.jsonl`.
    """
    panels = {"loss": "losses (raw)", "weight": "weights of the losses", "val": "scores on the validation set"}
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, (group, title) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        names = sorted({key for record in records for key in record if key.startswith(f"{group}/")})
        for name in names:
            points = [(record["step"], record[name]) for record in records if name in record]
            axis.plot(
                *zip(*points, strict=True),
                label=name.split("/", 1)[1],
                marker="." if len(points) < 30 else "",
            )
        axis.set(title=title, xlabel="step")
        axis.grid(alpha=0.3)
        if group == "loss" and all(record[name] > 0 for record in records for name in names if name in record):
            axis.set_yscale("log")
        if names:
            axis.legend()
    _save(figure, path, dpi=110)


@dataclass(frozen=True)
class Point:
    """A network in `save_tradeoff`.

    Attributes:
        label: Label next to its point.
        parameters: Number of parameters in millions.
        whdr: WHDR, 0 to 1.
    """

    label: str
    parameters: float
    whdr: float


def save_tradeoff(path: pathlib.Path, groups: Mapping[str, Sequence[Point]]) -> None:
    """Draws WHDR over the number of parameters (Figure 1) into a PNG.

    Args:
        path: Path of the PNG.
        groups: Networks of each color by the color's title.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for group, points in groups.items():
        axis.scatter([point.parameters for point in points], [point.whdr for point in points], label=group)
        for point in points:
            axis.annotate(point.label, (point.parameters, point.whdr), fontsize=6, alpha=0.7,
                          xytext=(3, 3), textcoords="offset points")  # fmt: skip
    axis.set(xlabel="parameters (millions)", ylabel="WHDR", xscale="log")
    axis.grid(alpha=0.3)
    axis.legend()
    _save(figure, path, dpi=130)


def save_search(path: pathlib.Path, points: Sequence[tuple[float, float]], resource: str, metric: str) -> None:
    """Draws the score over the resource of a pruning search into a PNG.

    Args:
        path: Path of the PNG.
        points: Resource and score of the network at the start and after every iteration.
        resource: Name of the horizontal axis.
        metric: Name of the vertical axis.
    """
    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.plot(*zip(*points, strict=True), marker=".")
    axis.set(xlabel=resource, ylabel=metric)
    axis.invert_xaxis()
    axis.grid(alpha=0.3)
    _save(figure, path, dpi=110)


def save_loss_weights(path: pathlib.Path, runs: Mapping[str, Sequence[dict[str, Any]]]) -> None:
    """Draws the weights of the losses over the steps into a PNG, a panel for each run.

    Args:
        path: Path of the PNG.
        runs: Records of each run's `metrics.jsonl` by the title of its panel; at least one run.
    """
    columns = min(len(runs), 4)
    rows = -(-len(runs) // columns)
    figure = Figure(figsize=(4 * columns, 3 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (title, records) in zip(axes, runs.items(), strict=False):
        steps = [record for record in records if "total" in record]
        for name in sorted(key for key in steps[0] if key.startswith("weight/")):
            values = [record[name] for record in steps]
            axis.plot([record["step"] for record in steps], values, label=name.removeprefix("weight/"))
        axis.set_title(title, fontsize=8)
        axis.legend(fontsize=6)
        axis.grid(alpha=0.3)
    for axis in axes[len(runs) :]:
        axis.set_axis_off()
    _save(figure, path, dpi=110)


def save_comparison(
    path: pathlib.Path,
    images: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    columns: Mapping[str, Sequence[Float[np.ndarray, "_ _"]]],
) -> None:
    """Draws images with a column of color maps for each network into a PNG (Figure 3).

    Args:
        path: Path of the PNG.
        images: Images of any sizes, RGB.
        columns: Predictions of each network, at the sizes of the images, by the title of its column.
    """
    figure = Figure(figsize=(3 * (1 + len(columns)), 2.4 * len(images)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(images), 1 + len(columns), squeeze=False)
    for axis, title in zip(axes[0], ["image", *columns], strict=True):
        axis.set_title(title, fontsize=8)
    for row, image, *predictions in zip(axes, images, *columns.values(), strict=True):
        for axis, picture in zip(row, [image, *map(colorize, predictions)], strict=True):
            axis.imshow(picture)
            axis.set_axis_off()
    _save(figure, path, dpi=110)


@dataclass(frozen=True, eq=False)
class Failure:
    """A pair that a prediction orders wrongly.

    Attributes:
        image: Number of its image.
        error: Difference of the predicted depths in the wrong direction, relative to the range of the prediction.
        points: 0-based pixels as (A or B, y or x).
        relation: True relation: +1 if A is farther, -1 if B is, 0 if both are equally far.
        depth: Prediction at the size of the image.
    """

    image: int
    error: float
    points: Int[np.ndarray, "2 2"]
    relation: int
    depth: Float[np.ndarray, "height width"]


def save_failures(
    path: pathlib.Path, failures: Sequence[Failure], images: Sequence[UInt8[np.ndarray, "_ _ 3"]]
) -> None:
    """Draws images and predictions with their wrongly ordered pairs into a PNG.

    Args:
        path: Path of the PNG.
        failures: Failures to draw, a row each; at least one.
        images: Image of each failure, RGB.
    """
    figure = Figure(figsize=(8, 3.2 * len(failures)), layout="constrained")
    FigureCanvasAgg(figure)
    for row, failure, image in zip(figure.subplots(len(failures), 2, squeeze=False), failures, images, strict=True):
        truth = {1: "A is farther", -1: "B is farther", 0: "both are equally far"}[failure.relation]
        row[0].set_title(f"image {failure.image}: {truth}", fontsize=9)
        row[1].set_title(f"wrong by {failure.error:.0%} of the predicted range", fontsize=9)
        for axis, picture in zip(row, (image, colorize(failure.depth)), strict=True):
            axis.imshow(picture)
            axis.set_axis_off()
            for name, (y, x) in zip("AB", failure.points, strict=True):
                disc = {"boxstyle": "circle,pad=0.15", "facecolor": "teal", "edgecolor": "white"}
                axis.annotate(name, (x, y), color="white", fontsize=9, ha="center", va="center", bbox=disc)
    _save(figure, path, dpi=110)


def _save(figure: Figure, path: pathlib.Path, *, dpi: int) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dpi)
