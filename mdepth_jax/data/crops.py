"""Crops of depth maps in which depth is evaluated."""

Crop = tuple[slice, slice]

EIGEN_CROP: Crop = slice(45, 471), slice(41, 601)
"""Rows and columns of NYUv2's 480x640 images without their white border (Eigen et al. 2014)."""

EIGEN_SIZE = 480, 640
"""Height and width of those images."""

CROPS: dict[str, Crop | None] = {"none": None, "eigen": EIGEN_CROP}
"""Crops by the names in configurations and on the command line; None for the full map."""
