r"""Rows of distillation (Tables 4 to 6) on 795 photographs of NYUv2 with one ordinal pair each.

    python -m mdepth_jax.train --config configs/nyuv2_pairs.py --config.model.pretrained=mobilenet_v2_imagenet.npz
    python -m mdepth_jax.train --config configs/nyuv2_pairs.py:table5_pi_only \
        --config.model.pretrained=mobilenet_v2_imagenet.npz

The variant is a row of distillation of `configs/ablations.py`. The folder is `nyuv2`, with cached maps in
`nyuv2/teacher/` (`--config.data.root=DIR` for another); the teacher with features is `runs/teacher_folder`, a run of
`configs/teacher.py:folder` (`--config.teacher.run=RUN`). Cost: 594 steps of batch 8 at 96x128, 4 minutes on two CPU
cores. Expected: WHDR 0.20 on 6540 test pairs; docs/results.md has every row. Nothing is held out: one pair for each of
79 images could not choose, so the last weights are kept.
"""

from ml_collections import ConfigDict

from mdepth_jax.training.config import override
from mdepth_jax.training.stages import load_neighbor


def get_config(row: str = "table6_hard_easy") -> ConfigDict:
    config = load_neighbor(__file__, "ablations.py", f"{row}_pairs")
    override(config, "model.output_bias", 4.0)  # the mean of the maps
    override(config, "data", {"root": "nyuv2", "height": 96, "width": 128, "val_share": 0.0})
    if "pairwise" in config.loss.terms:  # the cached maps have no features
        override(config, "teacher.run", "runs/teacher_folder")
    override(config, "train.epochs", 6)
    return config
