"""Terms of use of data sets and of pretrained weights, as their publishers state them.

Looked up in November 2026, on the pages that are named: "not stated" where the publisher's own material says nothing,
"unknown" where that material could not be read. Whether the terms of data bind a network trained on them is a question
of law, which this module leaves open.
"""

import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import tabulate
from ml_collections import ConfigDict

NOT_STATED = "not stated by the publisher"
UNKNOWN = "unknown"


class License(NamedTuple):
    """Terms of use of one thing that a network was trained with.

    Attributes:
        name: Name of the code, the data set or the weights.
        terms: Terms in the publisher's words, shortened.
        reference: Page or file that states the terms, or would; empty for what nobody published.
    """

    name: str
    terms: str
    reference: str = ""


CODE = License("code", "Apache-2.0", "LICENSE")
IMAGENET = License("ImageNet", "non-commercial research and education only", "https://www.image-net.org/download.php")
DATA: Mapping[str, License] = {
    "scenes": License("rendered scenes of mdepth_jax", "Apache-2.0, like the code that renders them", "LICENSE"),
    "nyuv2": License("NYU Depth V2", NOT_STATED, "https://cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html"),
    "diw": License(
        "Depth in the Wild",
        f"{NOT_STATED}, whose page is gone; the photographs come from Flickr and remain their owners' property",
        "https://github.com/princeton-vl/relative_depth",
    ),
    "redweb": License(
        "ReDWeb", f"{UNKNOWN}; ask its authors, who hand out the data on request", "Xian et al., CVPR 2018"
    ),
    "mannequin": License(
        "Mannequin Challenge",
        "CC BY 4.0 for the list of videos and the cameras; the videos themselves belong to those who filmed them",
        "https://google.github.io/mannequinchallenge/www/download.html",
    ),
}
WEIGHTS: Mapping[str, License] = {
    "embedded": License(
        "embedded teacher of mdepth_jax", "Apache-2.0; trained on the rendered scenes alone", "LICENSE"
    ),
    "keras": License(
        "weights of Keras Applications",
        f"the package is under Apache-2.0, for the weights {NOT_STATED}",
        "https://keras.io/api/applications",
    ),
    "timm": License(
        "weights of timm",
        "the code is under Apache-2.0; its author says to assume that the terms of ImageNet hold for the weights",
        "https://github.com/huggingface/pytorch-image-models#licenses",
    ),
    "torchvision": License(
        "weights of torchvision",
        "they may have terms of their own that follow from their training data; the user has to find out",
        "https://github.com/pytorch/vision#pre-trained-model-license",
    ),
    "fastdepth": License(
        "weights of FastDepth", f"{NOT_STATED}; trained on NYU Depth V2", "https://github.com/dwofk/fast-depth"
    ),
    "encdecresnet": License(
        "EncDecResNet of YouTube3D",
        "the repository is under BSD-3-Clause; trained on ImageNet, ReDWeb, Depth in the Wild and videos of YouTube",
        "https://github.com/princeton-vl/YouTube3D",
    ),
}
# Publishers that distribute weights trained on ImageNet in files with this suffix.
_PUBLISHERS = {
    "": ("keras",),
    ".h5": ("keras",),
    ".keras": ("keras",),
    ".tar": ("fastdepth",),
    ".pth": ("torchvision", "timm"),
    ".pt": ("torchvision", "timm"),
    ".safetensors": ("timm", "torchvision"),
}


class RunInputs(NamedTuple):
    """Everything that a training run read.

    Attributes:
        config: Configuration of the run.
        data: Terms of its training sets as the run recorded them; empty if it recorded none.
    """

    config: ConfigDict
    data: tuple[License, ...] = ()


def find_licenses(runs: Iterable[RunInputs]) -> list[License]:
    """Finds the terms of everything that a network was trained with, each once.

    Args:
        runs: Inputs of the runs that its weights went through, the first run first.
    """
    found = (part for number, run in enumerate(runs) for part in _find_in_run(run, is_first=number == 0))
    return list(dict.fromkeys(found)) or [License("training", UNKNOWN)]


def format_table(licenses: Iterable[License]) -> str:
    """Formats licenses as a Markdown table, with a note on what it leaves open."""
    table = tabulate.tabulate(licenses, headers=("part", "terms", "stated in"), tablefmt="github")
    return f"{table}\n\nWhether the terms of data and of a teacher bind the network is not decided here."


def name_unknown(folder: str) -> str:
    """Names the unknown data in a folder."""
    return f"data in {_folder_name(folder)}"


def _find_in_run(run: RunInputs, *, is_first: bool) -> Iterator[License]:
    config = run.config
    data, teacher, model = config.data, config.teacher, config.model
    if data.source == "scenes":
        yield DATA["scenes"]
    elif run.data:
        yield from run.data
    else:
        yield from (License(name_unknown(folder), UNKNOWN) for folder in (data.root, data.unlabelled) if folder)
    if teacher.maps:
        yield License(f"maps of a teacher next to {_folder_name(data.root)}", UNKNOWN)
    if teacher.run:
        yield _find_teacher(teacher.run)
    if is_first and (model.start or model.widths):  # the header of these weights names no earlier run
        yield License(f"weights that the training began with ({model.start or 'before pruning'})", UNKNOWN)
    if model.pretrained:
        yield from _find_pretrained(model.pretrained)


def _folder_name(folder: str) -> str:
    return pathlib.Path(folder).name or folder


def _find_teacher(run: str) -> License:
    """Finds the terms of a teacher that `load_teacher` accepts."""
    if run in WEIGHTS:
        return WEIGHTS[run]
    if pathlib.Path(run).suffix in (".npz", ".pth", ".pt", ".tar"):
        return WEIGHTS["encdecresnet"]
    return License(f"teacher {_folder_name(run)}", f"{UNKNOWN} here; see the report.md of its run")


def _find_pretrained(weights: str) -> Iterator[License]:
    """Finds the terms of encoder weights that `load_pretrained` accepts."""
    path = pathlib.Path(weights)
    publishers = _PUBLISHERS.get(path.suffix, ())
    for publisher in publishers:
        yield WEIGHTS[publisher]
    if not publishers:
        yield License(f"encoder's weights {path.name}", UNKNOWN)
    if publishers or "imagenet" in path.name.lower():
        yield IMAGENET
