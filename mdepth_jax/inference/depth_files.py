"""What is written about a prediction: 16-bit maps, colours, arrays and point clouds, at the size of the original."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float32, UInt8, UInt16
from PIL import Image

from mdepth_jax import plots
from mdepth_jax.data.images import encode, resize_map
from mdepth_jax.files import atomic_path, write_bytes, write_json
from mdepth_jax.inference.predictor import Picture

Kind = Literal["color", "side_by_side", "raw16", "npy", "ply"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SUFFIXES: dict[Kind, str] = {
    "color": "_color.png",
    "side_by_side": "_side_by_side.jpg",
    "raw16": ".png",
    "npy": ".npy",
    "ply": ".ply",
}
Range = tuple[float, float]
_MAX_CODE = 65535


@dataclass(frozen=True)
class DepthWriter:
    """Writes predictions into a folder.

    Attributes:
        output: The folder.
        kinds: What to write of each picture.
        meaning: Of the depth.
        log: See `Predictor`; all but colours are of depth itself.
        scale: What one step of a 16-bit code is worth.
        offset: Added to relative depth, whose zero means nothing, in 16-bit maps and point clouds, where it has to be
            positive.
        fov: Horizontal field of view of the point clouds' camera in degrees.
    """

    output: Path
    kinds: Collection[Kind]
    meaning: str = "depth, larger = farther"
    log: float = 0.0
    scale: float = 0.001
    offset: float = 0.0
    fov: float = 60.0

    @property
    def needs_image(self) -> bool:
        """Whether pictures must keep their original."""
        return bool({"side_by_side", "ply"} & set(self.kinds))

    def path(self, name: str, kind: Kind) -> Path:
        """The file of a picture."""
        return self.output / f"{name}{SUFFIXES[kind]}"

    def video_path(self, name: str, kind: Kind) -> Path:
        """The file of the painted frames of a video."""
        return self.output / f"{name}_{kind}.mp4"

    def files(self, name: str) -> list[Path]:
        """All files that may be written about an image or a video."""
        return [file(name, kind) for kind in self.kinds for file in (self.path, self.video_path)]

    def write(self, picture: Picture, prediction: Float32[np.ndarray, "height width"]) -> Range:
        """Writes all about one picture; gives the range of its depth."""
        values = resize_map(prediction, *picture.size)
        written = self.write_numbers(picture, values)
        for kind, painted in self.paint(picture, values, plots.depth_limits(prediction)).items():
            path = self.path(picture.name, kind)
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                Image.fromarray(painted).save(temporary, quality=95, compress_level=1)  # fast, for JPEG and PNG
        return written

    def paint(
        self, picture: Picture, values: Float32[np.ndarray, "height width"], limits: Range
    ) -> dict[Kind, UInt8[np.ndarray, "_ _ 3"]]:
        """Gives the wanted pictures of a prediction.

        Args:
            picture: The picture.
            values: The prediction at the original's size.
            limits: See `plots.colorize`.
        """
        wanted = set(self.kinds) & {"color", "side_by_side"}
        if not wanted:
            return {}
        painted: dict[Kind, np.ndarray] = {"color": plots.colorize(values, limits)}
        if "side_by_side" in wanted:
            assert picture.image is not None
            painted["side_by_side"] = np.concatenate([picture.image, painted["color"]], axis=1)
        return {kind: array for kind, array in painted.items() if kind in wanted}

    def write_numbers(self, picture: Picture, values: Float32[np.ndarray, "height width"]) -> Range:
        """Writes what is no picture for the eye, see `paint`; gives the range of depth."""
        depth = np.exp(values / np.float32(self.log)) if self.log else values
        for kind in set(self.kinds) & {"npy", "raw16", "ply"}:
            path = self.path(picture.name, kind)
            path.parent.mkdir(parents=True, exist_ok=True)
            match kind:
                case "npy":
                    with atomic_path(path) as temporary:
                        np.save(temporary, depth)
                case "raw16":
                    write_bytes(path, encode(depth_codes(depth, self.scale, self.offset)))
                case "ply":
                    assert picture.image is not None
                    write_point_cloud(path, picture.image, depth + np.float32(self.offset), self.fov, self.meaning)
        return float(depth.min()), float(depth.max())

    def write_about(self, model: str) -> None:
        """Writes what the numbers mean, into `depth.json` in the folder."""
        codes = {
            "formula": "depth = scale * code - offset; code 0: unknown",
            "scale": self.scale,
            "offset": self.offset,
        }
        about = {"meaning": self.meaning, "model": model} | ({"16-bit codes": codes} if "raw16" in self.kinds else {})
        write_json(self.output / "depth.json", about)

    def notes(self, ranges: Sequence[Range]) -> Iterator[str]:
        """Tells what a user has to know about the numbers that were written.

        Args:
            ranges: Of all depths that were written.
        """
        if "ply" in self.kinds:
            yield (
                "relative depth is true up to an unknown bending of space: point clouds show what is in front of what,"
                " but no straight walls, true angles or sizes"
            )
        low, high = self.scale - self.offset, _MAX_CODE * self.scale - self.offset
        beyond = [span for span in ranges if span[0] < low or span[1] > high]
        if beyond and {"raw16", "ply"} & set(self.kinds):
            least, most = min(span[0] for span in beyond), max(span[1] for span in beyond)
            yield (
                f"{len(beyond)} predictions have depth from {least:.4g} to {most:.4g}, beyond the {low:.4g} to"
                f" {high:.4g} that 16-bit maps and point clouds hold; choose another --offset or --scale"
            )


def depth_codes(
    depth: Float32[np.ndarray, "height width"], scale: float, offset: float = 0.0
) -> UInt16[np.ndarray, "height width"]:
    """Gives the codes of a map as `mdepth_jax.data.sources` reads them: `depth = scale * code - offset`.

    Depth beyond what 16 bits hold gets the nearest code; 0 stands for values that are not finite.
    """
    codes = np.clip(np.round((depth + np.float32(offset)) / np.float32(scale)), 1, _MAX_CODE)
    return np.where(np.isfinite(depth), codes, 0).astype(np.uint16)


def write_point_cloud(
    path: Path,
    image: UInt8[np.ndarray, "height width 3"],
    depth: Float32[np.ndarray, "height width"],
    fov: float,
    meaning: str,
) -> None:
    """Writes the points that a pinhole camera sees as binary PLY, x to the right, y up, the camera looking along -z.

    Args:
        path: The file.
        image: Colours of the points.
        depth: Of every pixel; a point whose depth is not positive is left out.
        fov: Horizontal field of view in degrees, between 0 and 180.
        meaning: Of depth; a comment in the file.
    """
    height, width = depth.shape
    step = np.float32(2 * np.tan(np.radians(fov) / 2) / width)
    points = np.empty(
        (height, width), [(name, "<f4") for name in "xyz"] + [(name, "u1") for name in ("red", "green", "blue")]
    )
    points["x"] = (np.arange(width, dtype=np.float32) + np.float32(0.5 - width / 2)) * step * depth
    points["y"] = (np.float32(height / 2 - 0.5) - np.arange(height, dtype=np.float32))[:, np.newaxis] * step * depth
    points["z"] = -depth
    for channel, name in enumerate(("red", "green", "blue")):
        points[name] = image[..., channel]
    points = points[depth > 0]
    properties = [f"property float {name}" for name in "xyz"] + [
        f"property uchar {name}" for name in ("red", "green", "blue")
    ]
    header = ["ply", "format binary_little_endian 1.0", f"comment {meaning}", f"element vertex {len(points)}"]
    write_bytes(path, "\n".join([*header, *properties, "end_header\n"]).encode() + points.tobytes())
