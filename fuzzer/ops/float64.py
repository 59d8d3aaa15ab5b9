"""References in NumPy and float64, for ops of which TensorFlow has no float64 kernel on CPU.

An op names its own as `reference`: a function of NumPy, the operands and, by keyword, what its `build` asks for. The
truth takes it in place of the kernel.
"""

from __future__ import annotations

from typing import Any


def bilinear(np: Any, x: Any, *, corners: Any, out_shape: Any) -> Any:
    """Linear interpolation between the four neighbours (core/kernels/image/resize_bilinear_op.cc, ScaleAxis).

    A pixel lies at `i * scale`, or at `(i + 0.5) * scale - 0.5` with half-pixel centres, where its place may be below
    zero and is then the border; `scale` is in over out, of the distances between corners where these are aligned.
    """
    for axis in (1, 2):
        given, wanted = x.shape[axis], out_shape[axis]
        aligned = corners == "align" and wanted > 1
        scale = (given - 1) / (wanted - 1) if aligned else given / wanted
        places = np.arange(wanted, dtype=np.float64)
        places = np.maximum((places + 0.5) * scale - 0.5, 0.0) if corners == "half" else places * scale
        low = np.minimum(np.floor(places).astype(np.int64), given - 1)
        high = np.minimum(low + 1, given - 1)
        shape = [1] * x.ndim
        shape[axis] = wanted
        weight = (places - low).reshape(shape)
        below, above = np.take(x, low, axis), np.take(x, high, axis)
        x = below + (above - below) * weight
    return x


def upsampled(np: Any, x: Any, *, times: Any, method: Any, out_shape: Any, out_dtype: Any) -> Any:
    """An image enlarged by whole factors: repeated, or interpolated with half-pixel centres (`tf.image.resize`)."""
    if method == "bilinear":
        return bilinear(np, x, corners="half", out_shape=out_shape)
    return np.repeat(np.repeat(x, times[0], 1), times[1], 2)


def pooled3d(np: Any, x: Any, size: Any, strides: Any, padding: Any, reduce: Any) -> Any:
    """Windows of a volume reduced; what padding adds (half of it in front, rounded down) is not counted."""
    if padding == "SAME":
        widths = [(0, 0)]
        for n, k, s in zip(x.shape[1:4], size, strides, strict=True):
            total = max(0, (-(-n // s) - 1) * s + k - n)
            widths.append((total // 2, total - total // 2))
        x = np.pad(x, [*widths, (0, 0)], constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(x, tuple(size), (1, 2, 3))
    return reduce(windows[:, :: strides[0], :: strides[1], :: strides[2]], axis=(-3, -2, -1))


def max_pooled3d(np: Any, x: Any, *, size: Any, strides: Any, padding: Any) -> Any:
    """Largest element of each window of a volume."""
    return pooled3d(np, x, size, strides, padding, np.nanmax)


def avg_pooled3d(np: Any, x: Any, *, size: Any, strides: Any, padding: Any) -> Any:
    """Mean of each window of a volume."""
    return pooled3d(np, x, size, strides, padding, np.nanmean)
