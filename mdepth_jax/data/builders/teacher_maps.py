"""Maps of published networks for the images of a folder, as training reads them: `teacher/*.png`."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from mdepth_jax.data.about import ABOUT
from mdepth_jax.data.builders import map_fusion
from mdepth_jax.data.builders.map_fusion import MAX_CODE, MEANING_OF_SPACE, Map, Space
from mdepth_jax.data.builders.onnx_network import OnnxNetwork
from mdepth_jax.data.builders.teacher_job import TeacherJob
from mdepth_jax.data.builders.teacher_sign import check_sign
from mdepth_jax.data.images import encode, read_image, resize_map
from mdepth_jax.data.listing import find_images
from mdepth_jax.data.map_info import DEFAULT_SCALE
from mdepth_jax.data.threads import map_in_threads
from mdepth_jax.errors import UserError
from mdepth_jax.files import hash_file, read_json, write_bytes, write_json

_CODES: Mapping[Space, str] = {
    "meters": "depth = map_scale * code; code 0: unknown",
    "depth": "relative depth = map_scale * code, larger = farther",
    "log": "logarithm of relative depth = map_scale * code, larger = farther",
    "inverse": "inverse relative depth = map_scale * code, larger = NEARER; training reads it negated",
}
_RELATIVE_CODES = (
    "; code 0: unknown. The codes of every map span 1 to 65535, so that nothing is clipped: each map has a scale and a"
    " shift of its own, which means nothing to an affine-invariant loss"
)


@dataclass(frozen=True)
class TeacherReport:
    """Result of a job.

    Attributes:
        summary: What was written, in words.
        failures: Errors of the images without a map, in their order.
    """

    summary: str
    failures: Sequence[UserError]


def write_teacher_maps(job: TeacherJob) -> TeacherReport:
    """Writes the maps of all images, and `about.json` with their meaning and how they were made.

    A map that exists stays: an interrupted job continues.

    Raises:
        UserError: If a network cannot be used, orders the folder's pairs the wrong way round, or if the folder holds
            maps that were made otherwise.
    """
    images = find_images(job.source / "images")
    networks = [
        OnnxNetwork(path, format, size=job.size, output=job.output_name)
        for path, format in zip(job.onnx, job.formats, strict=True)
    ]
    _check_scales(job, networks)
    recipe = describe(job, networks)
    _check_folder(job.folder, recipe)
    paths = {job.folder / f"{name}.png": image for name, image in images.items()}
    missing = {path: image for path, image in paths.items() if not path.is_file()}
    if missing:
        _try(networks, list(missing.values()))
        for network in networks:
            check_sign(network, job.source)
    write_json(job.folder / ABOUT, recipe)
    failures, known = [], []
    start = time.perf_counter()

    def write(item: tuple[Path, Path]) -> float | UserError:
        path, image = item
        try:
            codes = make_map(job, networks, read_image(image))
        except UserError as error:
            return UserError(str(error) if str(image) in str(error) else f"{image}: {error}")
        write_bytes(path, encode(codes))
        return float(np.mean(codes > 0))

    results = map_in_threads(write, missing.items(), threads=os.cpu_count() or 1)
    for result in tqdm(results, total=len(missing), unit="map", dynamic_ncols=True, disable=None):
        if isinstance(result, UserError):
            failures.append(result)
        else:
            known.append(result)
    rate = len(known) / (time.perf_counter() - start)
    written = f"{len(known)} maps of {recipe['meaning']} in {job.folder}, {rate:.1f} a second"
    return TeacherReport(_summarize(written, known, len(paths) - len(missing), failures), failures)


def _summarize(written: str, known: Sequence[float], existing: int, failures: Sequence[UserError]) -> str:
    """Adds to what was written how many maps were there, the share of unknown pixels, and the images without a map."""
    parts = [written]
    if existing:
        parts.append(f"{existing} were there already")
    if known and np.mean(known) < 1:
        parts.append(f"{1 - np.mean(known):.2%} of the pixels are unknown")
    if failures:
        parts.append(f"{len(failures)} images have no map")
    return "; ".join(parts)


def make_map(
    job: TeacherJob, networks: Sequence[OnnxNetwork], image: UInt8[np.ndarray, "image_height image_width 3"]
) -> np.ndarray:
    """Computes the codes of one image's map, in the image's aspect and about as large as the networks' input.

    Args:
        job: The job.
        networks: Its networks, open.
        image: RGB image, 0 to 255.

    Raises:
        UserError: If a network fails, or its prediction is not finite or the same everywhere.
    """
    size = _map_size(networks, image.shape[:2])
    maps = [_average_views(job, network, image, size) for network in networks]
    space = job.chosen_space
    if space == "meters":
        return map_fusion.encode_meters(maps[0], job.map_scale or DEFAULT_SCALE)
    fused = map_fusion.fuse(maps, job.shares, job.disagreement)
    return map_fusion.encode_relative(fused)


def describe(job: TeacherJob, networks: Sequence[OnnxNetwork]) -> dict[str, Any]:
    """Describes the maps of a job and how they are made: the content of `about.json`."""
    space = job.chosen_space
    return {
        "meaning": MEANING_OF_SPACE[space],
        "map_scale": (job.map_scale or DEFAULT_SCALE) if space == "meters" else 1 / MAX_CODE,
        "codes": _CODES[space] + ("" if space == "meters" else _RELATIVE_CODES),
        "networks": [
            {
                "file": network.path.name,
                "sha256": hash_file(network.path),
                "preset": preset or None,
                "output": network.output,
                "meaning": network.format.meaning,
                "input": _describe_input(network),
                "weight": weight,
            }
            for network, preset, weight in zip(networks, job.presets, job.shares, strict=True)
        ],
        "mirror": job.mirror,
        "scales": list(job.scales),
        "disagreement": job.disagreement,
    }


def _describe_input(network: OnnxNetwork) -> dict[str, Any]:
    height, width = network.fixed_size
    multiple = network.format.multiple
    free = f"short side {network.size}, sides multiples of {multiple}"
    keys = ("value_range", "mean", "deviation", "channels")
    values = {key: getattr(network.format, key) for key in keys}
    return {"size": f"{width}x{height}" if height and width else free} | json.loads(json.dumps(values))


def _check_scales(job: TeacherJob, networks: Sequence[OnnxNetwork]) -> None:
    for network in networks:
        if set(job.scales) != {1.0} and None not in network.fixed_size:
            height, width = network.fixed_size
            raise UserError(f"`scales`: {network.path} takes images of {width}x{height} only; leave `scales` out")


def _check_folder(folder: Path, recipe: Mapping[str, Any]) -> None:
    """Checks that maps that are there already were made in the same way."""
    about = folder / ABOUT
    ways_out = f"give the same flags and files, choose another `output`, or remove {folder}"
    if not about.is_file():
        if next(folder.glob("**/*.png"), None):
            raise UserError(f"{folder}: holds maps without {ABOUT}, of unknown origin; {ways_out}")
        return
    earlier = read_json(about)
    differing = sorted(key for key in recipe if not isinstance(earlier, dict) or earlier.get(key) != recipe[key])
    if differing:
        raise UserError(f"{about}: the maps there were made otherwise (other {', '.join(differing)}); {ways_out}")


def _try(networks: Sequence[OnnxNetwork], images: Sequence[Path]) -> None:
    """Runs every network on the first image that can be read."""
    problem: UserError | None = None
    for path in images:
        try:
            image = read_image(path)
        except UserError as error:
            problem = problem or error
            continue
        for network in networks:
            network.predict(image)
        return
    raise UserError(f"no image can be read; the first: {problem}")


def _map_size(networks: Sequence[OnnxNetwork], image_size: tuple[int, int]) -> tuple[int, int]:
    pixels = max(np.prod(network.input_size(image_size)) for network in networks)
    factor = min(1.0, float(np.sqrt(pixels / np.prod(image_size))))
    height, width = (max(2, round(side * factor)) for side in image_size)
    return height, width


def _average_views(
    job: TeacherJob, network: OnnxNetwork, image: UInt8[np.ndarray, "image_height image_width 3"], size: tuple[int, int]
) -> Map:
    """Returns the mean of a network's predictions at all scales and of the mirrored image, normalized if relative."""
    space = job.chosen_space
    views = []
    for scale in job.scales:
        for mirrored in (False, True) if job.mirror else (False,):
            values = network.predict(image[:, ::-1] if mirrored else image, scale=scale)
            values = map_fusion.convert(values[:, ::-1] if mirrored else values, network.format.meaning, space)
            view = resize_map(np.ascontiguousarray(values), *size)
            views.append(view if space == "meters" else map_fusion.normalize(view))
    mean: np.ndarray = np.mean(np.stack(views), axis=0)
    return mean if space == "meters" else map_fusion.normalize(mean)
