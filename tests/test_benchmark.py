import jax.numpy as jnp
import numpy as np
from flax import nnx

from mdepth_jax import benchmark
from mdepth_jax.models import build_model
from mdepth_jax.training.config import overlay


def test_the_reference_is_the_same_network():
    config = overlay(model={"width": 0.25, "heads": 0}).model
    ours = build_model(config, rngs=nnx.Rngs(0))
    plain = benchmark.with_plain_convolutions(build_model(config, rngs=nnx.Rngs(0)))
    kinds = [type(module) for _, module in nnx.iter_graph(plain)]
    assert nnx.Conv in kinds
    assert not {benchmark.Conv, benchmark.DepthwiseConv} & set(kinds)
    ours.eval()
    plain.eval()
    image = jnp.asarray(np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8))
    np.testing.assert_allclose(plain(image).depth, ours(image).depth, rtol=1e-3, atol=1e-4)


def test_data_table(capsys, tmp_path):
    benchmark.main(["data", "--height", "12", "--width", "16", "--rounds", "1", "--json", str(tmp_path / "table.json")])
    assert "scenes, pipeline" in capsys.readouterr().out
    assert (tmp_path / "table.json").exists()
