import pathlib

import pytest

from mdepth_jax.data.builders.teacher_presets import PRESETS

DOCS = pathlib.Path(__file__).parents[3] / "docs/data.md"


@pytest.mark.parametrize("name", PRESETS)
def test_the_documentation_states_the_values_of_a_preset(name):
    preset = PRESETS[name]
    (row,) = [line for line in DOCS.read_text().splitlines() if line.startswith(f"| `{name}` |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    normalization = "ImageNet's mean and deviation" if any(preset.mean) else f"0 to {preset.value_range:g}"
    assert cells[1:5] == [
        preset.meaning,
        f"{preset.size}, multiples of {preset.multiple}",
        normalization,
        "yes" if preset.has_zero else "no",
    ]
    assert preset.reference.split(" ")[0] in row
