"""A coverage-guided fuzzing campaign engine for the stock TensorFlow to TensorFlow Lite stack.

Importing this package, or any of its sub-packages, never imports TensorFlow: only the zygote does
(`fuzzer.execute.zygote`), so that nothing native can take the supervisor or a driver down.
"""

__version__ = "0.1.0"
