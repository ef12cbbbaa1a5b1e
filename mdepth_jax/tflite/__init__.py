"""From a trained network to a phone: conversion to TFLite, quantisation, proof of equality, timing."""

import mdepth_jax.tensorflow_cpu  # noqa: F401 (TensorFlow is quiet if this imports it first)
