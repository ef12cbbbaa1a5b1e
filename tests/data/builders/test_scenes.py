import numpy as np

from mdepth_jax.data.about import KNOWN_SETS, read_about
from mdepth_jax.data.builders.scenes import write_scenes
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.data.sources.scenes import Scenes


def test_scenes_are_written_as_a_folder_of_pairs(tmp_path):
    write_scenes(tmp_path, 2)
    names = ["about.json", "depth", "images", "pairs_test.csv", "pairs_train.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert read_about(tmp_path) == KNOWN_SETS["scenes"]
    for split in ("train", "test"):
        source, scenes = open_source(tmp_path, split, maps=Maps(depth=0.001)), Scenes(2, 240, 320, split=split)
        assert len(source) == 2
        for index in range(2):
            example, scene = source[index], scenes[index]
            for key in ("image", "points", "relation"):
                np.testing.assert_array_equal(example[key], scene[key])
            np.testing.assert_allclose(example["depth"], np.minimum(scene["depth"], 65.535), atol=6e-4)
