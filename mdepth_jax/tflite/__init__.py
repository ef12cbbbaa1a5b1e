"""The `.tflite` format: conversion of networks, quantization, inference, timing here and on a phone."""

import mdepth_jax.tensorflow_cpu  # noqa: F401 (TensorFlow is quiet if this imports it first)
