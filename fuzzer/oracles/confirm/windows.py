"""Which elements of an operand take part in which element of a result: pooling windows and sums of products.

Asked of TensorFlow's own operators on masks of zeros and ones, with the attributes that the flatbuffer has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def windows(content: bytes, position: int, masks: Sequence[Mask]) -> list[Mask]:
    """For each mask of a pooling operator's operand: where a marked element lies under the window of a result."""
    import tensorflow as tf

    options = _options(content, position)
    size, strides = [options.filterHeight, options.filterWidth], [options.strideH, options.strideW]
    return [tf.nn.max_pool2d(mask.astype(np.float32), size, strides, _padding(options)).numpy() > 0 for mask in masks]


def products(content: bytes, position: int, data: Mask, weights: Mask) -> Mask | None:
    """Where some marked element of the data meets a marked weight; None for what is not known how to do."""
    import tensorflow as tf

    options, x, w = _options(content, position), data.astype(np.float32), weights.astype(np.float32)
    kind = type(options).__name__
    if kind == "FullyConnectedOptionsT":
        rows = x.reshape(-1, w.shape[1]) @ w.T
        return _as_kept(rows, options, data.shape) > 0
    if kind == "BatchMatMulOptionsT":
        made = tf.matmul(x, w, transpose_a=options.adjX, transpose_b=options.adjY)
    elif kind == "Conv2DOptionsT":
        if w.shape[3] != x.shape[3]:
            return None  # grouped
        steps, spread = [options.strideH, options.strideW], [options.dilationHFactor, options.dilationWFactor]
        made = tf.nn.conv2d(x, w.transpose(1, 2, 3, 0), steps, _padding(options), dilations=spread)
    elif kind == "DepthwiseConv2DOptionsT":
        if options.strideH != options.strideW:
            return None  # TensorFlow takes equal strides only
        filters = w.reshape(w.shape[1], w.shape[2], x.shape[3], -1)
        steps, spread = [1, options.strideH, options.strideW, 1], [options.dilationHFactor, options.dilationWFactor]
        made = tf.nn.depthwise_conv2d(x, filters, steps, _padding(options), dilations=spread)
    else:
        return None
    found: Mask = made.numpy() > 0
    return found


def _as_kept(rows: NDArray[np.float32], options: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The rows of a fully connected layer in its result's shape (`keep_num_dims`)."""
    return rows.reshape(*shape[:-1], rows.shape[-1]) if options.keepNumDims else rows


def _padding(options: Any) -> str:
    from tensorflow.lite.python import schema_py_generated as schema

    return "SAME" if options.padding == schema.Padding.SAME else "VALID"


def _options(content: bytes, position: int) -> Any:
    """The builtin options of an operator of the main graph."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    return model.subgraphs[0].operators[position].builtinOptions
