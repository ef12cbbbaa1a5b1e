"""Checkpoints of EncDecResNet with drawn weights."""

import numpy as np
from flax import nnx

from mdepth_jax.models import build_model, default_config
from mdepth_jax.models.encoders import resnet
from mdepth_jax.models.pretrained.naming import named_variables
from mdepth_jax.models.pretrained.youtube3d import encdecresnet
from tests.models.golden_weights import draw


def write_checkpoint(path, seed=0):
    """Writes every tensor of the published checkpoint, in PyTorch's layout."""
    config = default_config()
    config.update(encoder="resnet50", decoder="redweb", heads=0)
    model = nnx.eval_shape(lambda: build_model(config, rngs=nnx.Rngs(0)))
    shapes = {
        name: tuple(variable.shape[axis] for axis in (3, 2, 0, 1)) if len(variable.shape) == 4 else variable.shape
        for name, variable in named_variables(encdecresnet(model)).items()
    }
    np.savez(path, **{f"module.{name}": draw(name, shape, seed, gain=1) for name, shape in shapes.items()})


def narrow(monkeypatch):
    """Makes every ResNet-50 that is built from now on an eighth as wide, with a block or two in each stage."""
    monkeypatch.setattr(resnet, "STEM", 8)
    monkeypatch.setattr(resnet, "STAGES", ((8, 1, 1), (16, 1, 2), (32, 1, 2), (64, 2, 2)))
