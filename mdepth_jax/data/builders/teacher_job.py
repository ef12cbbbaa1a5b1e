"""Order for maps of published networks: which files, how they see an image, how several predictions become one map."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mdepth_jax.data.builders.map_fusion import Space
from mdepth_jax.data.builders.teacher_presets import PRESETS, Channels, NetworkFormat, Triple
from mdepth_jax.data.map_info import Meaning
from mdepth_jax.data.sources.maps import MAP_FOLDERS
from mdepth_jax.errors import UserError


@dataclass(frozen=True, kw_only=True)
class TeacherJob:
    """Networks, images, and the way from the ones to maps of the others.

    Attributes:
        onnx: Paths of the ONNX files.
        source: Folder of the data set, with `images/`.
        output: Folder of the maps; None for `teacher/` in the source.
        preset: Names in `PRESETS`, one for all files or one for each; empty for a network without preset.
        inverse: Whether larger values of the networks are nearer, which presets know.
        meters: Whether the networks predict meters, which presets know.
        size: Short side of the input, for files that take images of any size.
        value_range: Value of the brightest pixel in the input, 1 or 255; None for the preset's, or 1. The same holds
            for `mean`, `deviation` and `channels`, see `NetworkFormat`.
        mean: Values subtracted from red, green and blue.
        deviation: Values that red, green and blue are divided by.
        channels: Order of the channels.
        output_name: Name of the output that is the map; None if there is only one.
        mirror: Whether to average with the prediction of the mirrored image.
        scales: Factors of the input's size, whose predictions are averaged.
        space: Quantity of the maps; None for that of the network, or of several files the logarithm of depth if all
            predict depth, else inverse depth.
        weights: Weights of the files; empty for equal ones.
        disagreement: Largest difference of the files, in mean absolute deviations, of a pixel that is known.
        map_scale: Meters of one step of a code; None for millimeters.

    Raises:
        UserError: If the values do not fit together.
    """

    onnx: Sequence[Path]
    source: Path
    output: Path | None = None
    preset: Sequence[str] = ()
    inverse: bool = False
    meters: bool = False
    size: int | None = None
    value_range: float | None = None
    mean: Sequence[float] | None = None
    deviation: Sequence[float] | None = None
    channels: Channels | None = None
    output_name: str | None = None
    mirror: bool = False
    scales: Sequence[float] = (1.0,)
    space: str | None = None
    weights: Sequence[float] = ()
    disagreement: float | None = None
    map_scale: float | None = None

    def __post_init__(self) -> None:
        count = len(self.onnx)
        if len(self.preset) not in (0, 1, count):
            raise UserError(f"`preset` names {len(self.preset)} networks for {count} files; name one, or one for each")
        for name in self.preset:
            if name not in PRESETS:
                raise UserError(f"`preset={name}` is unknown; choose from {', '.join(PRESETS)}, or leave it out")
        if len(self.weights) not in (0, count) or not all(weight > 0 for weight in self.weights):
            raise UserError("`weights` must be positive, one for each file of `onnx`")
        if self.inverse and self.meters:
            raise UserError("`inverse` and `meters` exclude each other")
        for name in ("size", "value_range", "map_scale", "disagreement"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise UserError(f"`{name}` is {value}; it must be positive")
        if not all(scale > 0 for scale in (*self.scales, *(self.deviation or ()))):
            raise UserError("`scales` and `deviation` must be positive")
        if self.disagreement is not None and count == 1:
            raise UserError("`disagreement` compares several files; give more by `onnx`, or leave it out")
        if self.map_scale is not None and self.chosen_space != "meters":
            raise UserError("`map_scale` is the unit of maps in meters; relative depth has none, leave it out")
        for path, format in zip(self.onnx, self.formats, strict=True):
            if self.chosen_space == "log" and not format.has_zero:
                raise UserError(
                    f"`space=log`: {path} predicts {format.meaning} with an unknown shift, which has no logarithm; use"
                    " `space=inverse`"
                )

    @property
    def formats(self) -> list[NetworkFormat]:
        """Returns the input and output of each file: the preset's, replaced by what is given."""
        return [self._format(name) for name in self.presets]

    @property
    def presets(self) -> list[str]:
        """Returns the preset of each file; empty for none."""
        names = self.preset or [""]
        return list(names) * len(self.onnx) if len(names) == 1 else list(names)

    @property
    def shares(self) -> list[float]:
        """Returns the weight of each file."""
        return list(self.weights) or [1.0] * len(self.onnx)

    def _format(self, preset: str) -> NetworkFormat:
        format = PRESETS.get(preset, NetworkFormat())
        meaning: Meaning = format.meaning
        if self.inverse or self.meters:
            meaning = "inverse relative depth" if self.inverse else "depth in meters"
            if (
                preset
                and meaning != format.meaning
                and not (self.meters and format.meaning == "inverse relative depth")
            ):
                raise UserError(f"`preset={preset}` predicts {format.meaning}; leave out `inverse` and `meters`")
        return dataclasses.replace(
            format,
            meaning=meaning,
            has_zero=format.has_zero or self.meters,
            value_range=self.value_range or format.value_range,
            mean=_triple(self.mean) or format.mean,
            deviation=_triple(self.deviation) or format.deviation,
            channels=self.channels or format.channels,
        )

    @property
    def chosen_space(self) -> Space:
        """Returns the quantity of the maps."""
        if self.space:
            return "log" if self.space == "log" else "inverse"
        meanings = [format.meaning for format in self.formats]
        if "inverse relative depth" in meanings:
            return "inverse"
        if len(meanings) > 1:
            return "log"
        return "meters" if meanings == ["depth in meters"] else "depth"

    @property
    def folder(self) -> Path:
        """Returns the folder of the maps."""
        return self.output or self.source / MAP_FOLDERS["teacher_depth"]


def _triple(values: Sequence[float] | None) -> Triple | None:
    return (values[0], values[1], values[2]) if values else None
