from tests.tflite.conftest import content, images, network

__all__ = ["content", "images", "network"]
