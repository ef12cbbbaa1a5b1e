from tests.tflite.conftest import content, images, int8, network

__all__ = ["content", "images", "int8", "network"]
