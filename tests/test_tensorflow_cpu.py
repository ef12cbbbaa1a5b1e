import importlib
import os

import pytest

from mdepth_jax import tensorflow_cpu
from mdepth_jax.tensorflow_cpu import silent_stderr, tf


def test_standard_error_is_silent_inside_the_block_alone(capfd):
    os.write(2, b"before ")
    with silent_stderr():
        os.write(2, b"inside ")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"


def test_standard_error_comes_back_after_an_error(capfd):
    with pytest.raises(KeyError), silent_stderr():
        raise KeyError
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_accelerators_are_hidden_at_the_import(monkeypatch):
    hidden = []
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda devices, kind: hidden.append((devices, kind)))
    importlib.reload(tensorflow_cpu)
    assert hidden == [([], "GPU"), ([], "TPU")]
