"""Complex numbers and Fourier transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fuzzer.errors import UnfitError
from fuzzer.ops.domains import Choice, Domain, Int
from fuzzer.ops.spec import Attrs, Op, TensorType, WeightSlot, integer, no_weights

_PART = Choice(("abs", "real", "imag", "all"))
# The runtime takes powers of two only, and says so.
_LENGTH = Choice((8, 1, 2, 4, 16, 32))
_MAX_FRAMES = 64


def rfft2d(tf: Any, x: Any, *, rows: Any, columns: Any, part: Any, out_dtype: Any) -> Any:
    """Fourier transform of the last two axes, cut or padded to a size of powers of two."""
    spectrum = tf.signal.rfft2d(x, [rows, columns])
    if part == "all":
        return tf.cast(spectrum, out_dtype)
    return {"abs": tf.abs, "real": tf.math.real, "imag": tf.math.imag}[part](spectrum)


def rfft(tf: Any, x: Any, *, columns: Any, part: Any, out_dtype: Any) -> Any:
    """Fourier transform of the last axis, cut or padded to a power of two."""
    spectrum = tf.signal.rfft(x, [columns])
    if part == "all":
        return tf.cast(spectrum, out_dtype)
    return {"abs": tf.abs, "real": tf.math.real, "imag": tf.math.imag}[part](spectrum)


def stft(tf: Any, x: Any, *, frame: Any, step: Any, columns: Any, part: Any, out_dtype: Any) -> Any:
    """Short-time Fourier transform of the last axis."""
    spectrum = tf.signal.stft(x, frame, step, fft_length=columns, pad_end=True)
    if part == "all":
        return tf.cast(spectrum, out_dtype)
    return {"abs": tf.abs, "real": tf.math.real, "imag": tf.math.imag}[part](spectrum)


def complex_part(tf: Any, x: Any, *, part: Any) -> Any:
    """Absolute value, real or imaginary part of complex numbers."""
    return {"abs": tf.abs, "real": tf.math.real, "imag": tf.math.imag}[part](x)


def complex_mul(tf: Any, x: Any, y: Any = None, *, const: Any) -> Any:
    """Complex product."""
    return tf.multiply(x, y if y is not None else const)


def to_complex(tf: Any, x: Any, *, out_dtype: Any) -> Any:
    """Numbers as complex ones."""
    return tf.cast(x, out_dtype)


def from_complex(tf: Any, x: Any, *, out_dtype: Any) -> Any:
    """The real parts by a cast."""
    return tf.cast(x, out_dtype)


# --- rules ------------------------------------------------------------------------------------------------


def _spectrum(shape: tuple[int, ...], attrs: Attrs, dtype: str) -> TensorType:
    return TensorType(shape, "complex64" if attrs["part"] == "all" else dtype)


def _rfft2d_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    size = (integer(attrs["rows"]), integer(attrs["columns"]) // 2 + 1)
    return _spectrum((*x.shape[:-2], *size), attrs, x.dtype)


def _rfft_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x = operands[0]
    return _spectrum((*x.shape[:-1], integer(attrs["columns"]) // 2 + 1), attrs, x.dtype)


def _stft_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, step = operands[0], integer(attrs["step"])
    frames = -(-x.shape[-1] // step)
    if frames > _MAX_FRAMES:
        raise UnfitError(f"{frames} frames are more than {_MAX_FRAMES}")
    if integer(attrs["frame"]) > integer(attrs["columns"]):
        raise UnfitError("a frame is longer than the transform")
    return _spectrum((*x.shape[:-1], frames, integer(attrs["columns"]) // 2 + 1), attrs, x.dtype)


def _part_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(operands[0].shape, "float32")


def _complex_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(operands[0].shape, "complex64")


def _real_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(operands[0].shape, str(attrs["to"]))


def _product_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    if len({x.shape for x in operands}) > 1:
        raise UnfitError("operands differ in shape")
    return operands[0]


def _const(operands: Sequence[TensorType], attrs: Attrs) -> tuple[WeightSlot, ...]:
    if len(operands) == 2:
        return ()
    rank = min(integer(attrs["const_rank"]), operands[0].rank)
    return (WeightSlot("const", TensorType(operands[0].shape[operands[0].rank - rank :], operands[0].dtype)),)


def _cost(operands: Sequence[TensorType], attrs: Attrs, out: TensorType) -> int:
    return 20 * out.elements


def _op(build: Any, infer: Any, attrs: dict[str, Domain], weight: float, **more: Any) -> Op:
    return Op(build.__name__, build, infer, attrs, more.pop("weights", no_weights), _cost, weight=weight, **more)


_COMPLEX: dict[str, Any] = {"dtypes": ("complex64",)}
_FLOAT: dict[str, Any] = {"dtypes": ("float32",)}

OPS = (
    _op(rfft2d, _rfft2d_type, {"rows": _LENGTH, "columns": _LENGTH, "part": _PART}, 0.3, ranks=(2, 3, 4), **_FLOAT),
    _op(rfft, _rfft_type, {"columns": _LENGTH, "part": _PART}, 0.3, ranks=(1, 2, 3), **_FLOAT),
    _op(
        stft,
        _stft_type,
        {"frame": Int(1, 16, 8), "step": Int(1, 16, 4), "columns": Choice((16, 8, 32)), "part": _PART},
        0.15,
        ranks=(1, 2),
        static=True,
        **_FLOAT,
    ),
    _op(complex_part, _part_type, {"part": Choice(("abs", "real", "imag"))}, 0.3, **_COMPLEX),
    _op(complex_mul, _product_type, {"const_rank": Int(0, 4, 1)}, 0.2, arity=(1, 2), weights=_const, **_COMPLEX),
    _op(to_complex, _complex_type, {}, 0.2, dtypes=("float32", "int32", "int64")),
    _op(from_complex, _real_type, {"to": Choice(("float32", "int32"))}, 0.15, **_COMPLEX),
)
