"""Distillation losses between the features of a student and of a teacher."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float


def pairwise_loss(
    student: Float[Array, "batch height width channels"],
    teacher: Float[Array, "batch teacher_height teacher_width teacher_channels"],
    *,
    pool_scale: float = 0.5,
) -> Float[Array, ""]:
    """Computes the pair-wise distillation loss, which compares similarities within two feature maps.

    It is L_pa of the paper (Sec. 3.3, Eq. 5; Liu et al. 2020). Both maps are max-pooled to n nodes with the same
    window (ceil mode). With `f_i` the feature of node i and `a_ij = <f_i, f_j> / (|f_i| |f_j|)` the cosine similarity
    of nodes i and j,

        loss = (1 / n^2) sum_ij (a_ij(teacher) - a_ij(student))^2

    averaged over the batch. As in the original code the gradient takes the norms |f_i| as constants, and no gradient
    flows to the teacher. No array is larger than the two maps together, whatever n.

    Args:
        student: Features of the student.
        teacher: Features of the teacher; the number of channels may differ from the student's.
        pool_scale: Window and stride of the pooling as a fraction of the teacher's map, rounded down to pixels; 0 for
            no pooling.

    Returns:
        The loss in at least float32, 0 to 4.

    Raises:
        ValueError: If `pool_scale` is outside [0, 1], or the pooled maps differ in size.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.losses import pairwise_loss
        >>> teacher = jnp.float32([[1, 0], [0, 1]]).reshape(1, 1, 2, 2)  # two nodes, at right angles
        >>> student = jnp.ones((1, 1, 2, 3))  # two nodes, alike
        >>> print(f"{pairwise_loss(student, teacher):.2f}")
        0.50

    References:
        Liu et al., "Structured Knowledge Distillation for Dense Prediction", TPAMI 2020. Code:
        irfanICMLL/structure_knowledge_distillation, `utils/criterion.py`, `CriterionPairWiseforWholeFeatAfterPool`.
    """
    if not 0 <= pool_scale <= 1:
        raise ValueError(f"`pool_scale` must be in the range [0, 1], got {pool_scale}")
    window = tuple(max(1, int(size * pool_scale)) for size in teacher.shape[1:3])
    student, teacher = _max_pool(student, window), _max_pool(lax.stop_gradient(teacher), window)
    if student.shape[:3] != teacher.shape[:3]:
        raise ValueError(f"pooled maps must be of one size, got student {student.shape} and teacher {teacher.shape}")

    dtype = np.promote_types(student.dtype, np.float32)
    student, teacher = _unit_nodes(student.astype(dtype)), _unit_nodes(teacher.astype(dtype))
    nodes, channels = student.shape[1], student.shape[2] + teacher.shape[2]
    squared_distance = _direct_distance if nodes <= channels else _gram_distance
    return jnp.mean(squared_distance(student, teacher))


def _max_pool(
    features: Float[Array, "batch height width channels"], window: tuple[int, ...]
) -> Float[Array, "batch pooled_height pooled_width channels"]:
    if window == (1, 1):
        return features
    padding = [(0, -size % stride) for size, stride in zip(features.shape[1:3], window, strict=True)]
    shape = (1, *window, 1)
    return lax.reduce_window(features, -jnp.inf, lax.max, shape, shape, [(0, 0), *padding, (0, 0)])


def _unit_nodes(
    features: Float[Array, "batch height width channels"],
) -> Float[Array, "batch nodes channels"]:
    batch, height, width, channels = features.shape
    nodes = features.reshape(batch, height * width, channels)
    norm = jnp.linalg.norm(lax.stop_gradient(nodes), axis=-1, keepdims=True)
    return nodes / (norm + 1e-8)


def _direct_distance(
    student: Float[Array, "batch nodes channels"], teacher: Float[Array, "batch nodes teacher_channels"]
) -> Float[Array, " batch"]:
    """Computes the mean squared difference of the two matrices of similarities, in O(n^2 C)."""
    return jnp.mean(jnp.square(_products(student) - _products(teacher)), axis=(1, 2))


def _products(nodes: Float[Array, "batch nodes channels"]) -> Float[Array, "batch nodes nodes"]:
    return jnp.einsum("bmc,bnc->bmn", nodes, nodes, precision=lax.Precision.HIGHEST)


def _gram_distance(
    student: Float[Array, "batch nodes channels"], teacher: Float[Array, "batch nodes teacher_channels"]
) -> Float[Array, " batch"]:
    """Computes the same as `_direct_distance` in O(n C^2): |SS' - TT'|^2 = |S'S|^2 + |T'T|^2 - 2 |S'T|^2.

    This cancels badly where all nodes are alike, so the mean nodes s and t are split off first.
    With P and Q the nodes less these, |SS' - TT'|^2 = n^2 (|s|^2 - |t|^2)^2 + 2n |Ps - Qt|^2 + |PP' - QQ'|^2.
    """
    nodes = student.shape[1]
    student_length, student_along, student = _split_mean(student)
    teacher_length, teacher_along, teacher = _split_mean(teacher)
    between = jnp.square(student_length - teacher_length)
    between += 2 * jnp.mean(jnp.square(student_along - teacher_along), axis=1)
    within = _gram_energy(student, student) + _gram_energy(teacher, teacher) - 2 * _gram_energy(student, teacher)
    return between + jax.nn.relu(within) / nodes**2  # Rounding can leave a sum of squares just below zero.


def _split_mean(
    nodes: Float[Array, "batch nodes channels"],
) -> tuple[Float[Array, " batch"], Float[Array, "batch nodes"], Float[Array, "batch nodes channels"]]:
    """Returns the squared length of the mean node, and the nodes less the mean: their products with it, and all."""
    mean = jnp.mean(nodes, axis=1, keepdims=True)
    rest = nodes - mean
    return jnp.sum(jnp.square(mean), axis=(1, 2)), jnp.sum(rest * mean, axis=2), rest


def _gram_energy(
    first: Float[Array, "batch nodes channels"], second: Float[Array, "batch nodes other_channels"]
) -> Float[Array, " batch"]:
    gram = jnp.einsum("bnc,bnd->bcd", first, second, precision=lax.Precision.HIGHEST)
    return jnp.sum(jnp.square(gram), axis=(1, 2))
