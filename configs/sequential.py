r"""Training on one data set after the other (Table 3): each stage starts from the best weights of the one before.

    python -m mdepth_jax.train --config configs/sequential.py:redweb_diw --config.stages.redweb.data.root=DIR \
        --config.stages.diw.data.root=DIR --config.stages.redweb.model.pretrained=FILE

The cost is that of its stages (`configs/mannequin.py`, `configs/redweb.py`, `configs/diw.py`). Expected:

| variant       | the paper's WHDR on DIW |
|---------------|-------------------------|
| redweb_diw    | 0.1386                  |
| mc_diw        | 0.1376                  |
| mc_redweb_diw | 0.1316, the baseline    |

The weights include the intermediate heads where there are any (Table 4, `configs/ablations.py`). A stage is a run
directory inside the run directory, the last one that of the result. The same command continues an
interrupted training, in any stage. Keys that belong to the weights, such as `model.preprocessing`, are set in every
stage.
"""

from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.training.stages import load_neighbor, staged

STAGES = {"mc": "mannequin.py", "redweb": "redweb.py", "diw": "diw.py"}
VARIANTS = ("redweb_diw", "mc_diw", "mc_redweb_diw")


def get_config(variant: str = "mc_redweb_diw") -> ConfigDict:
    if variant not in VARIANTS:
        raise UserError(f"configs/sequential.py has no variant {variant!r}; there are {', '.join(VARIANTS)}")
    stages = {name: load_neighbor(__file__, STAGES[name]) for name in variant.split("_")}
    return staged(f"sequential_{variant}", stages)
