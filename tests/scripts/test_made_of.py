"""What ops are made of, measured on real TensorFlow."""

from __future__ import annotations

import pytest

from fuzzer.coverage.reached.roads import made_of
from fuzzer.execute import Executor, Limits, Zygote
from fuzzer.ops import registry
from scripts.made_of import TIMEOUT_S, measured

pytestmark = pytest.mark.slow


def test_the_file_says_what_tensorflow_does() -> None:
    zygote = Zygote("scripts.made_of")
    try:
        zygote.wait_ready()
        executor = Executor(zygote.path, Limits(timeout_s=TIMEOUT_S))
        for name, operator in (
            ("conv2d", "CONV_2D"),
            ("bucketize", "BUCKETIZE"),
            ("lstm", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
        ):
            found = measured(executor, registry()[name])
            assert operator in found["tflite"] and found["tensorflow"]
            assert operator in made_of()[name]["tflite"], "python -m scripts.made_of"
        executor.close()
    finally:
        zygote.stop()
