"""Compact monocular relative-depth networks, trained from sparse ordinal labels, for the phone.

Example:
    network = mdepth_jax.load("runs/kd")        # a run directory, a .safetensors or .tflite file, or "embedded"
    depth = network.predict("photograph.jpg")   # float32 [height, width], larger = farther
    network.info                                # what depth means, size, scores, licenses
"""

from typing import TYPE_CHECKING, Any

from mdepth_jax.errors import UserError

if TYPE_CHECKING:
    from mdepth_jax.inference.network import open_network as load

__version__ = "0.1.0"
__all__ = ["UserError", "__version__", "load"]


def __getattr__(name: str) -> Any:
    # Loaded when it is first used: JAX takes seconds to import.
    if name == "load":
        from mdepth_jax.inference.network import open_network

        return open_network
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
