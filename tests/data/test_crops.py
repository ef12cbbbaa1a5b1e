import numpy as np

from mdepth_jax.data.crops import CROPS, EIGEN_CROP, EIGEN_SIZE


def test_the_crop_of_eigen_fits_the_images_of_nyuv2():
    assert np.zeros(EIGEN_SIZE)[EIGEN_CROP].shape == (426, 560)
    assert CROPS == {"none": None, "eigen": EIGEN_CROP}
