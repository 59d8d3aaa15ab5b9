"""Spectrograms, which the runtime knows as custom ops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Flag, Int
from fuzzer.ops.spec import Attrs, Op, TensorType, integer

_CUSTOM = {"allow_custom_ops": True}


def audio_spectrogram(tf: Any, x: Any, *, window: Any, stride: Any, squared: Any) -> Any:
    """Magnitudes of a windowed Fourier transform along the first axis."""
    fitting = min(window, x.shape[0])
    return tf.raw_ops.AudioSpectrogram(input=x, window_size=fitting, stride=stride, magnitude_squared=squared)


def mfcc(tf: Any, x: Any, *, rate: Any, high: Any, low: Any, filters: Any, coefficients: Any) -> Any:
    """Mel-frequency cepstral coefficients of a spectrogram."""
    return tf.raw_ops.Mfcc(
        spectrogram=tf.abs(x),
        sample_rate=rate,
        upper_frequency_limit=high,
        lower_frequency_limit=low,
        filterbank_channel_count=filters,
        dct_coefficient_count=coefficients,
    )


def _spectrogram_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, stride = operands[0], integer(attrs["stride"])
    window = min(integer(attrs["window"]), x.shape[0])
    if window < 2:
        raise UnfitError("a window needs two samples")
    bins = 1
    while bins < window:
        bins *= 2
    return TensorType((x.shape[1], 1 + (x.shape[0] - window) // stride, bins // 2 + 1), "float32")


def _mfcc_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, coefficients = operands[0], integer(attrs["coefficients"])
    if coefficients > integer(attrs["filters"]):
        raise UnfitError("more coefficients than filters")
    if x.shape[2] < 2:
        raise UnfitError("a spectrum needs two bins")
    return TensorType((x.shape[0], x.shape[1], coefficients), "float32")


def _cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    return 40 * out.elements + operands[0].elements


OPS = (
    Op(
        "audio_spectrogram",
        audio_spectrogram,
        _spectrogram_type,
        {"window": Int(2, 32, 8), "stride": Int(1, 16, 4), "squared": Flag()},
        cost=_cost,
        ranks=(2,),
        dtypes=("float32",),
        weight=0.1,
        switches=_CUSTOM,
        static=True,
        float64=False,
        narrow="the kernel computes in double inside (spectrogram.cc, mfcc.cc) and rounds its result once",
    ),
    Op(
        "mfcc",
        mfcc,
        _mfcc_type,
        {
            "rate": Int(8000, 48000, 16000),
            "high": Int(1000, 4000, 4000),
            "low": Int(1, 500, 20),
            "filters": Int(1, 40, 10),
            "coefficients": Int(1, 20, 5),
        },
        cost=_cost,
        ranks=(3,),
        dtypes=("float32",),
        weight=0.1,
        switches=_CUSTOM,
        static=True,
        float64=False,
        narrow="the kernel computes in double inside (spectrogram.cc, mfcc.cc) and rounds its result once",
    ),
)
