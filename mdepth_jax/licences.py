"""Terms of use of data sets and of pretrained weights, as their publishers state them.

Looked up in November 2026, on the pages that are named; "not stated" where nothing was found in what the publisher
gives along, "unknown" where that could not be read. Whether the terms of data bind a network trained on them is left
open here: it is a question of law.
"""

import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import tabulate
from ml_collections import ConfigDict

NOT_STATED = "not stated by the publisher"
UNKNOWN = "unknown"


class Licence(NamedTuple):
    """The terms of something that a network was trained with.

    Attributes:
        name: What it is.
        terms: What the publisher says.
        source: Where the publisher says it, or would; empty for what nobody published.
    """

    name: str
    terms: str
    source: str = ""


CODE = Licence("code", "Apache-2.0", "LICENSE")
IMAGENET = Licence("ImageNet", "non-commercial research and education only", "https://www.image-net.org/download.php")
DATA: Mapping[str, Licence] = {
    "scenes": Licence("rendered scenes of mdepth_jax", "Apache-2.0, like the code that renders them", "LICENSE"),
    "nyuv2": Licence("NYU Depth V2", NOT_STATED, "https://cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html"),
    "diw": Licence(
        "Depth in the Wild",
        f"{NOT_STATED}, whose page is gone; the photographs come from Flickr and stay their owners'",
        "https://github.com/princeton-vl/relative_depth",
    ),
    "redweb": Licence("ReDWeb", f"{UNKNOWN}; ask its authors, who give the data out", "Xian et al., CVPR 2018"),
    "mannequin": Licence(
        "Mannequin Challenge",
        "CC BY 4.0 for the list of videos and the cameras; the videos themselves belong to those who filmed them",
        "https://google.github.io/mannequinchallenge/www/download.html",
    ),
}
WEIGHTS: Mapping[str, Licence] = {
    "embedded": Licence(
        "embedded teacher of mdepth_jax", "Apache-2.0; trained on the rendered scenes alone", "LICENSE"
    ),
    "keras": Licence(
        "weights of Keras Applications",
        f"the package is under Apache-2.0, for the weights {NOT_STATED}",
        "https://keras.io/api/applications",
    ),
    "timm": Licence(
        "weights of timm",
        "the code is under Apache-2.0; its author says to assume that the terms of ImageNet hold for the weights",
        "https://github.com/huggingface/pytorch-image-models#licenses",
    ),
    "torchvision": Licence(
        "weights of torchvision",
        "they may have terms of their own that follow from their training data; the user has to find out",
        "https://github.com/pytorch/vision#pre-trained-model-license",
    ),
    "fastdepth": Licence(
        "weights of FastDepth", f"{NOT_STATED}; trained on NYU Depth V2", "https://github.com/dwofk/fast-depth"
    ),
    "encdecresnet": Licence(
        "EncDecResNet of YouTube3D",
        "the repository is under BSD-3-Clause; trained on ImageNet, ReDWeb, Depth in the Wild and videos of YouTube",
        "https://github.com/princeton-vl/YouTube3D",
    ),
}
# Parts of the names that people give to folders of a data set.
_FOLDERS = {"nyu": "nyuv2", "diw": "diw", "redweb": "redweb", "mannequin": "mannequin"}
# Files tell by their suffix who publishes them so, and that they were trained on ImageNet.
_SUFFIXES = {
    "": ("keras",),
    ".h5": ("keras",),
    ".keras": ("keras",),
    ".tar": ("fastdepth",),
    ".pth": ("torchvision", "timm"),
    ".pt": ("torchvision", "timm"),
    ".safetensors": ("timm", "torchvision"),
}


def of_runs(configs: Iterable[ConfigDict]) -> list[Licence]:
    """Lists the terms of everything that a network was trained with, each once.

    Args:
        configs: Of the runs that its weights have been through, the first one first.
    """
    found = (licence for number, config in enumerate(configs) for licence in _of_run(config, is_first=number == 0))
    return list(dict.fromkeys(found)) or [Licence("training", UNKNOWN)]


def as_table(licences: Iterable[Licence]) -> str:
    """Gives a table in Markdown, and what it does not say."""
    table = tabulate.tabulate(licences, headers=("part", "terms", "stated in"), tablefmt="github")
    return f"{table}\n\nWhether the terms of data and of a teacher bind the network is not decided here."


def _of_run(config: ConfigDict, *, is_first: bool) -> Iterator[Licence]:
    data, teacher, model = config.data, config.teacher, config.model
    yield DATA["scenes"] if data.source == "scenes" else of_folder(data.root)
    if data.unlabelled:
        yield of_folder(data.unlabelled)
    if teacher.maps:
        yield Licence(f"maps of a teacher beside {folder_name(data.root)}", UNKNOWN)
    if teacher.run:
        yield of_teacher(teacher.run)
    if is_first and (model.start or model.widths):  # its run was not written down
        yield Licence(f"weights that the training began with ({model.start or 'before pruning'})", UNKNOWN)
    if model.pretrained:
        yield from of_pretrained(model.pretrained)


def of_folder(folder: str) -> Licence:
    """The terms of a folder of data, which tells what it is by its name alone."""
    name = folder_name(folder)
    for part, key in _FOLDERS.items():
        if part in name.lower():
            return DATA[key]._replace(name=f"{DATA[key].name} (by the folder's name, {name})")
    return Licence(f"data in {name}", UNKNOWN)


def folder_name(folder: str) -> str:
    """The last part of a path, or all of it if there is none."""
    return pathlib.Path(folder).name or folder


def of_teacher(run: str) -> Licence:
    """The terms of a teacher, see `load_teacher`."""
    if run in WEIGHTS:
        return WEIGHTS[run]
    if pathlib.Path(run).suffix in (".npz", ".pth", ".pt", ".tar"):
        return WEIGHTS["encdecresnet"]
    return Licence(f"teacher {folder_name(run)}", f"{UNKNOWN} here; see the report.md of its run")


def of_pretrained(weights: str) -> Iterator[Licence]:
    """The terms of the encoder's weights, see `load_pretrained`."""
    path = pathlib.Path(weights)
    sources = _SUFFIXES.get(path.suffix, ())
    for source in sources:
        yield WEIGHTS[source]
    if not sources:
        yield Licence(f"encoder's weights {path.name}", UNKNOWN)
    if sources or "imagenet" in path.name.lower():
        yield IMAGENET
