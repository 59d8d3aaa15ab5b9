"""Messages of the converter and the runtimes, normalised: equal defects give equal messages.

Whose matter a message is says `fuzzer.oracles.error_table`. A refusal says "this is not supported", or "this is asked
wrongly", in so many words: a feature for guidance, no finding.
"""

from __future__ import annotations

import re

from fuzzer.oracles.error_table import ErrorClass, classify

_TYPE_NAME = re.compile(r"\btypes?\b|kTfLite\w+|\b(?:FLOAT|U?INT|BFLOAT)\d+\b|\bBOOL\b", re.IGNORECASE)
_TYPE_CONDITION = re.compile(r"(?<![\w.>\-])([\w.>\-]+) == kTfLite\w+(?: \|\| \1 == kTfLite\w+)+(?: was not true)?")
_EMPTY_RANGE = re.compile(r"(Max and min for dynamic tensors should be recorded during calibration).*", re.DOTALL)

_TYPES = (
    (re.compile(r"!quant\.uniform<(?:[^<>]|<[^<>]*>)*>"), "quant"),
    (re.compile(r"tensor<[^<>]*(?:<[^<>]*>[^<>]*)*>"), "tensor"),
)
"""Types as MLIR prints them: one with a scale a channel may be longer than all of the message that is read."""


def _nested(depth: int) -> str:
    """A pattern of text in which parentheses are closed again, at most `depth` of them within each other."""
    return rf"[^()]*(?:\({_nested(depth - 1)}\)[^()]*)*" if depth else "[^()]*"


_NOISE = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    # Where in the model, by call in call in call (MLIR's `CallSiteLoc`): a parenthesis each, and one of a `fused` each.
    (re.compile(rf"loc\({_nested(12)}\):?"), ""),
    # The same of a TensorFlow graph: names of ours and of its passes.
    (re.compile(r"\{\{node [^{}]*\}\}"), "{{node}}"),
    # The wheels of TensorFlow and of LiteRT are built from one tree under two roots.
    (re.compile(r'(?:\b(?:tensorflow|tflite|litert))?(?:/|[A-Za-z]:\\)[^\s:"\']+'), "<path>"),
    (re.compile(r"\b0x[0-9a-fA-F]+"), "<address>"),
    # Inputs and nodes of ours are numbered in every case.
    (re.compile(r"\b([xn])\d+\b"), r"\1N"),
    # Delegates number nodes, and their messages follow each other without a break.
    (re.compile(r"#\d+"), "#N"),
    (re.compile(r"(#N|XNNPACK delegate)(?=[a-z])"), r"\1; "),
    # One with a scale a channel is longer than what is read of a message: its end is missing.
    (re.compile(r"tensor<[^'>\"]*(?:<[^'>]*>[^'>\"]*)*$"), "tensor"),
    (re.compile(r"\b(?!16x8\b)\d+(?:x\d+)+\b"), "NxN"),
    (re.compile(r"[-+]?\b\d+(?:\.\d+)?(?:[eE][-+]?\d+)?\b"), "N"),
    (re.compile(r"[\"'`][^\"'`]{0,80}@[^\"'`]{0,80}[\"'`]"), "<function>"),
    (re.compile(r"\s+"), " "),
)
_AGAIN = re.compile(r"(.{12,150}?)(?:[; ]*\1)+")
"""What is said again at once: a delegate that tries twice complains twice."""
UNLISTED = "is an unlisted type"
"""What stands for a list of the types that a kernel takes, none of which it was given."""
MAX_MESSAGE = 160
MAX_READ = 4000
"""Characters of a message that are looked at; MLIR repeats whole modules after what matters."""
MAX_TYPES = 1 << 18
"""Characters in which types are looked for, before that: a scale takes about 20, and a message holds two types."""

_ERROR_LINE = re.compile(r"error: ([^\n]+)")
_CHECK = re.compile(
    r"(?:Check failed|F\d{4})[^\n]*"
    # glibc's heap checks (malloc.c, malloc_printerr) and the C++ runtime's last words.
    r"|double free or corruption[^\n]*|corrupted [^\n]*|free\(\): [^\n]*|malloc\(\): [^\n]*|munmap_chunk\(\)[^\n]*"
    r"|terminate called after [^\n]*"
)
_HEAP = re.compile(r"double free|corrupted|free\(\)|malloc\(\)|munmap_chunk")
HEAP_CORRUPTION = "heap corruption"
"""Which of its checks glibc trips over, and where, is chance: one message for all of them."""
_NODE = re.compile(r"\s*Node number \d+ \((\w+)\) failed to (prepare|invoke).*", re.DOTALL)
_RUNTIME_LINE = re.compile(r"(?<![\w/\-.])([\w/\-.]+\.(?:cc|h|c)):\d+ ([^\n]+)")


def is_refusal(message: str) -> bool:
    """Whether a message says that something is not supported, or asked for wrongly."""
    return classify(message) is not ErrorClass.INTERNAL


def speaks_of_types(message: str) -> bool:
    """Whether a message names a type, or says that the matter is one."""
    return _TYPE_NAME.search(message) is not None


def operator_of(message: str) -> str:
    """The operator that failed by what the interpreter says; empty when it names none."""
    node = _NODE.search(message)
    return node.group(1) if node else ""


def empty_range(message: str) -> bool:
    """Whether the quantiser misses the range of a tensor that calibration should have seen."""
    return _EMPTY_RANGE.search(message) is not None


def normalise(message: str) -> str:
    """The message without what differs between two runs of one defect: numbers, addresses, paths, locations.

    Lists of the types that a kernel takes grow from release to release: they become "an unsupported type".
    """
    message = message[:MAX_TYPES]
    for pattern, stand_in in _TYPES:
        message = pattern.sub(stand_in, message)
    message = message[:MAX_READ]
    message = _EMPTY_RANGE.sub(r"\1", message)
    message = _TYPE_CONDITION.sub(rf"\1 {UNLISTED}", message)
    for pattern, stand_in in _NOISE:
        message = pattern.sub(stand_in, message)
    return _AGAIN.sub(r"\1", message[: 4 * MAX_MESSAGE]).strip(" .:\t")[:MAX_MESSAGE]


def converter_message(message: str) -> str:
    """The line of a converter error that says what went wrong, normalised.

    MLIR prints a chain of locations; the last `error:` line is the reason, earlier ones its context.
    Calibration is a run of the float model, whose errors are an interpreter's.
    """
    if operator_of(message):
        return runtime_message(message)  # calibration runs the float model: an interpreter speaks
    found = [line for line in _ERROR_LINE.findall(message) if not line.startswith("failed while converting")]
    return normalise(found[0] if found else message)


def runtime_message(message: str) -> str:
    """The line of an interpreter error that says what went wrong: `file.cc condition was not true`."""
    node = _NODE.search(message)
    message = _NODE.sub("", message)
    suffix = f" [{node.group(1)}]" if node and not node.group(1).startswith("TfLite") else ""
    found = _RUNTIME_LINE.findall(message)
    if found:
        file, text = found[0]
        return normalise(f"{file.rsplit('/', 1)[-1]} {text}") + suffix
    silent = f"{node[1]} failed to {node[2]} without a word" if node else "no message"
    return normalise(message.splitlines()[0] if message.strip() else silent) + suffix


def fatal_message(log: str) -> str:
    """The line of a log that announces an abort, normalised; empty when nothing was said."""
    found = _CHECK.findall(log)
    if not found:
        return ""
    line = found[-1]
    if _HEAP.match(line):
        return HEAP_CORRUPTION
    # glog: "F0000 00:00:1700000000.123456 1234 file.cc:12] Check failed: ..."
    return normalise(line.rsplit("] ", 1)[-1])
