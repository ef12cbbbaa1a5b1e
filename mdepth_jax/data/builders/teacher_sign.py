"""Check of a network's sign against the ordinal pairs of a folder, before its maps are written."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mdepth_jax.data.builders.onnx_network import OnnxNetwork
from mdepth_jax.data.images import read_image
from mdepth_jax.data.pairs import ImagePairs, chance_margin, scan_pairs
from mdepth_jax.errors import UserError

MAX_IMAGES = 256


def check_sign(network: OnnxNetwork, source: Path) -> None:
    """Checks that a network orders the pairs next to the images as its meaning says.

    Counts the unequal pairs that it orders as labeled and those that it orders the other way round, ties left out, on
    `MAX_IMAGES` images at most. It stops as soon as the right ones are more than half by more than chance would have
    it, or the wrong ones by twice as much: most often after a dozen pairs. Training pairs come first; the others are
    read only if those decide nothing.

    Args:
        network: Network to check.
        source: Folder of the data set; without a CSV of pairs there is no check.

    Raises:
        UserError: If more than half of the pairs are ordered the other way round, by more than chance would have it.
    """
    sign = -1 if network.format.meaning == "inverse relative depth" else 1
    right = wrong = 0
    for entry in itertools.islice(_find_pairs(source), MAX_IMAGES):
        try:
            image = read_image(source / entry.path)
        except UserError:
            continue  # listed when its map is made
        depth = sign * network.predict(image)
        if entry.size != image.shape[:2]:
            continue
        rows, columns = np.moveaxis(entry.points * depth.shape // np.array(entry.size), -1, 0)
        at_points = depth[rows, columns]
        order = (at_points[:, 0] - at_points[:, 1]) * entry.relation
        right, wrong = right + int(np.sum(order > 0)), wrong + int(np.sum(order < 0))
        margin = chance_margin(right + wrong)
        if right - wrong > margin:
            return
        if wrong - right > 2 * margin:
            break
    if wrong - right > chance_margin(right + wrong):
        advice = "leave out `inverse`, or the preset" if sign < 0 else "add `inverse`, or choose another preset"
        raise UserError(
            f"{network.path}: orders {wrong} of {right + wrong} pairs next to the images the wrong way round, as"
            f" {network.format.meaning}; {advice}"
        )


def _find_pairs(source: Path) -> Iterator[ImagePairs]:
    files = sorted(source.glob("*.csv"), key=lambda path: ("train" not in path.stem, path.name))
    for file in files:
        entries, _ = scan_pairs(file)
        yield from (entry for entry in entries if (source / entry.path).is_file())
