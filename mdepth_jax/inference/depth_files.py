"""Files of predicted depth at the size of the original: color maps, 16-bit maps, arrays and point clouds."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float32, UInt8, UInt16
from PIL import Image

from mdepth_jax import plots
from mdepth_jax.data.images import encode, resize_map
from mdepth_jax.errors import UserError
from mdepth_jax.files import atomic_path, write_bytes, write_json
from mdepth_jax.inference.predictor import Picture, recover_depth
from mdepth_jax.plots import DepthRange

Kind = Literal["color", "side_by_side", "raw16", "npy", "ply"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SUFFIXES: dict[Kind, str] = {
    "color": "_color.png",
    "side_by_side": "_side_by_side.jpg",
    "raw16": ".png",
    "npy": ".npy",
    "ply": ".ply",
}
_MAX_CODE = 65535


@dataclass(frozen=True, kw_only=True)
class DepthWriter:
    """Writes predictions into a folder.

    Attributes:
        output: The folder.
        kinds: Kinds of files to write for each picture.
        meaning: Meaning of the depth in words.
        log: Factor of the logarithm in the network's predictions, see `recover_depth`; color maps show the predictions
            themselves, all other files hold depth.
        scale: Depth of one step of a 16-bit code.
        offset: Number that is added in 16-bit maps and point clouds, where depth has to be positive; the zero of
            relative depth means nothing.
        fov: Horizontal field of view of the camera in degrees, between 0 and 180; point clouds need it.

    Raises:
        UserError: If `scale` is not positive, or `fov` is needed and missing or does not lie between 0 and 180.
    """

    output: Path
    kinds: Collection[Kind]
    meaning: str = "depth, larger = farther"
    log: float = 0.0
    scale: float = 0.001
    offset: float = 0.0
    fov: float | None = None

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise UserError(f"`scale` is {self.scale}; it must be positive")
        if self.fov is None and "ply" in self.kinds:
            raise UserError("`ply` needs `fov`, the horizontal field of view of the camera in degrees")
        if self.fov is not None and not 0 < self.fov < 180:
            raise UserError(f"`fov` is {self.fov}; it must be more than 0 and less than 180 degrees")

    @property
    def needs_image(self) -> bool:
        """Whether pictures must keep their original."""
        return bool({"side_by_side", "ply"} & set(self.kinds))

    def path(self, name: str, kind: Kind) -> Path:
        """Returns the path of a picture's file."""
        return self.output / f"{name}{SUFFIXES[kind]}"

    def video_path(self, name: str, kind: Kind) -> Path:
        """Returns the path of the video of a video's color maps."""
        return self.output / f"{name}_{kind}.mp4"

    def files(self, name: str) -> list[Path]:
        """Lists all files that may be written for an image or a video."""
        return [file(name, kind) for kind in self.kinds for file in (self.path, self.video_path)]

    def write(self, picture: Picture, prediction: Float32[np.ndarray, "height width"]) -> DepthRange:
        """Writes all files of one picture.

        Args:
            picture: The picture.
            prediction: Prediction at the size of the network's input.

        Returns:
            The range of the picture's depth.
        """
        values = resize_map(prediction, *picture.size)
        written = self.write_numbers(picture, values)
        for kind, painted in self.paint(picture, values, plots.depth_limits(prediction)).items():
            path = self.path(picture.name, kind)
            with atomic_path(path) as temporary:
                Image.fromarray(painted).save(temporary, quality=95, compress_level=1)  # fast, for JPEG and PNG
        return written

    def paint(
        self, picture: Picture, values: Float32[np.ndarray, "height width"], limits: DepthRange
    ) -> dict[Kind, UInt8[np.ndarray, "_ _ 3"]]:
        """Paints the kinds of files that are pictures themselves.

        Args:
            picture: The picture.
            values: Prediction at the size of the original.
            limits: Range of the colors, see `plots.colorize`.
        """
        wanted = set(self.kinds) & {"color", "side_by_side"}
        if not wanted:
            return {}
        painted: dict[Kind, np.ndarray] = {"color": plots.colorize(values, limits)}
        if "side_by_side" in wanted:
            assert picture.image is not None
            painted["side_by_side"] = np.concatenate([picture.image, painted["color"]], axis=1)
        return {kind: array for kind, array in painted.items() if kind in wanted}

    def write_numbers(self, picture: Picture, values: Float32[np.ndarray, "height width"]) -> DepthRange:
        """Writes the kinds of files that hold numbers.

        Args:
            picture: The picture.
            values: Prediction at the size of the original.

        Returns:
            The range of the picture's depth.
        """
        depth = recover_depth(values, self.log)
        for kind in set(self.kinds) & {"npy", "raw16", "ply"}:
            path = self.path(picture.name, kind)
            match kind:
                case "npy":
                    with atomic_path(path) as temporary:
                        np.save(temporary, depth)
                case "raw16":
                    write_bytes(path, encode(depth_codes(depth, self.scale, self.offset)))
                case "ply":
                    assert picture.image is not None
                    assert self.fov is not None
                    write_point_cloud(path, picture.image, depth + np.float32(self.offset), self.fov, self.meaning)
        return DepthRange(float(depth.min()), float(depth.max()))

    def write_description(self, model: str) -> None:
        """Writes `depth.json`, the meaning of the numbers, into the folder.

        Args:
            model: Name of the network for the reader of the file.
        """
        codes = {
            "formula": "depth = scale * code - offset; code 0: unknown",
            "scale": self.scale,
            "offset": self.offset,
        }
        text = {"meaning": self.meaning, "model": model} | ({"16-bit codes": codes} if "raw16" in self.kinds else {})
        write_json(self.output / "depth.json", text)

    def notes(self, ranges: Sequence[DepthRange]) -> Iterator[str]:
        """Yields notes on the limits of the numbers that were written.

        Args:
            ranges: Ranges of all pictures' depths.
        """
        if "ply" in self.kinds:
            yield (
                "relative depth is known up to an unknown distortion of space: point clouds show what is in front of"
                " what, but no straight walls, true angles or sizes"
            )
        low, high = self.scale - self.offset, _MAX_CODE * self.scale - self.offset
        beyond = [span for span in ranges if span.low < low or span.high > high]
        if beyond and {"raw16", "ply"} & set(self.kinds):
            least, most = min(span.low for span in beyond), max(span.high for span in beyond)
            yield (
                f"{len(beyond)} predictions have depth from {least:.4g} to {most:.4g}, beyond the {low:.4g} to"
                f" {high:.4g} that 16-bit maps and point clouds hold; choose another `offset` or `scale`"
            )


def depth_codes(
    depth: Float32[np.ndarray, "height width"], scale: float, offset: float = 0.0
) -> UInt16[np.ndarray, "height width"]:
    """Computes the codes of a 16-bit map as `mdepth_jax.data.sources` reads them.

    Args:
        depth: Depth.
        scale: Depth of one step of the code.
        offset: Number that is added to depth.

    Returns:
        Codes with `depth = scale * code - offset`. Depth beyond the range of 16 bits gets the nearest code; 0 stands
        for values that are not finite.
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
    """Writes the points that a pinhole camera sees as binary PLY: x to the right, y up, the camera looking along -z.

    Args:
        path: Path of the file.
        image: Colors of the points, RGB.
        depth: Depth of every pixel; points whose depth is not positive are left out.
        fov: Horizontal field of view in degrees, between 0 and 180.
        meaning: Meaning of depth in words, for a comment in the file.
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
