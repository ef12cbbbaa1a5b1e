"""Parts of a depth map that are scored."""

Crop = tuple[slice, slice]

EIGEN_CROP: Crop = slice(45, 471), slice(41, 601)
"""Rows and columns of NYUv2's 480x640 frames without the white frame of the sensor (Eigen et al. 2014)."""

EIGEN_SIZE = 480, 640
"""Height and width of those frames."""

CROPS: dict[str, Crop | None] = {"none": None, "eigen": EIGEN_CROP}
