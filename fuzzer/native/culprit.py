"""The function that names a defect: the innermost frame of a stack that is nobody's helper.

What is passed over is a visible table. A helper that many operators share would make one title of many defects; a
driver that calls everything says nothing; a variant that is chosen by the processor differs between two machines.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from fuzzer.native.symbols import function_at, module_name
from fuzzer.native.trace import Frame, Trace

MAX_STACK = 40
"""Lines of a stack that evidence keeps."""

_PYTHON = re.compile(r"(?:lib)?python3(?:\.\d+)?(?:\.so[.\d]*)?$")
"""The interpreter. What is outside of it belongs to another call: the Python stack tells of that."""

_SYSTEM = re.compile(
    # libc raises, aborts, copies and sorts for its caller; so do the C++ and the compiler's run-time and libm.
    r"(?:libc|libstdc\+\+|libc\+\+|libgcc_s|libm|libpthread|ld-linux-x86-64|libdl|librt)[-.\d]*\.so[.\d]*$"
    # Calls from Python into C.
    r"|_ctypes\.|libffi"
)
_C_LIBRARY = re.compile(r"libc[-.\d]*\.so[.\d]*$")
_HEAP = frozenset(["malloc", "calloc", "realloc", "free", "cfree", "memalign", "aligned_alloc", "posix_memalign"])
"""glibc's heap, malloc.c."""

SKIPPED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), reason)
    for pattern, reason in (
        (r"(std|__gnu_cxx|__cxxabiv1)::|__clang_call_terminate|operator ", "containers and run-time of C++"),
        (r"(absl|google::protobuf|flatbuffers|tsl|re2)::", "base libraries: checks, logs, messages, strings"),
        (r"pybind11::|nanobind::|_wrap_", "calls from Python"),
        (r"(Eigen|ruy|gemmlowp|dnnl|cpuinfo)\b", "arithmetic of whoever calls it, by variants for processors"),
        (r"pthreadpool_|thread_(parallelize|main)|wait_worker", "loops of XNNPACK over threads"),
        (r"(xnn_\w+|[a-z]+_)_?ukernel_|ukernel_", "XNNPACK kernels by processor; the operator calls them"),
        (r"llvm::|GreedyPatternRewriteDriver|OperationLegalizer|OperationParser|CustomOpAsmParser", "compiler library"),
        (r"mlir::(detail|impl|OpTrait|op_definition_impl)::", "dispatch between classes of MLIR"),
        (r"mlir::(?!TF|lite\b|quant\b|odml\b)\w+$", "drivers of MLIR: applyPatternsGreedily, verify"),
        (r"mlir::(?!TF)[A-Z]\w*::", "MLIR's own classes: values, attributes, rewriters, the pass manager"),
        (r"mlir::(\w+::)+\w+Op(\w*Adaptor\w*)?::(create|build|[gs]et\w*)$", "what is generated for every operation"),
        (r"mlir::quant::\w*Type::", "types of MLIR, asked by every quantisation pattern"),
        (
            r"tflite::(RuntimeShape\b|ArithmeticParams\b|StridedSliceParams\b|NdArrayDesc)",
            "types.h and common.h of TFLite",
        ),
        (
            r"tflite::(Matching|FlatSize|NumElements|SizeOf|NumDim|NumInput|NumOutput|HaveSame|SubscriptToIndex)",
            "sizes",
        ),
        (r"tflite::Get(Input|Output|Temporary|Intermediates|Optional|Variable|Tensor|Quantized)\w*$", "kernel_util.h"),
        (r"tflite::(Populate|Calculate|Checked|Compute|Convert)\w*$", "kernel_util.h and padding.h of TFLite"),
        (
            r"tflite::(\w*QuantizeMultiplier|MultiplyBy|Preprocess|NudgeQ|GetInvSqrt|Saturating|Rounding)",
            "quantization_util.h",
        ),
        (r"tflite::(tensor_utils|cpu_backend_gemm|cpu_backend_threadpool|micro)::", "vector arithmetic of TFLite"),
        (
            r"tflite::(reference_ops|optimized_ops|reference_integer_ops)::(Get|Broadcast\w*Slow|NdArrayDesc)",
            "broadcasting",
        ),
        (r"_GLOBAL__|_start$|_init$", "start of a module"),
    )
)
"""Functions that are passed over, and why. Patterns are matched at the beginning of plain names."""

_DRIVER = re.compile(
    r"tflite::(Subgraph|impl|interpreter_wrapper|calibration_wrapper|ArenaPlanner|Interpreter)\b|tflite::(Mlir|Convert)\w*$"
    r"|mlir::lite::|tensorflow::(Convert|Run|Apply)\w*$|litert::"
)
"""What runs every model or every conversion: the title says it, and names the operators of the case beside it."""

_KERNEL = re.compile(r"tflite::ops::(?:builtin|custom)::([a-z]\w*)::")
_RUNS_KERNELS = "tflite::Subgraph::"
"""A kernel beyond this one runs a graph of its own, as IF and WHILE do, and is not the one that died."""
_PASS = re.compile(r"::(\w+)::runOnOperation\b|\bmlir::.*?::(\w+Pass)::")
_CALL = re.compile(r"::\{lambda\}::(?:operator\(\)|__invoke)$")


@dataclass(frozen=True)
class Culprit:
    """Who is to blame for a death, as far as the stack tells."""

    function: str = ""
    """The plain name; the module's where its symbols are stripped; empty where nothing of the stack under test ran."""
    kernel: str = ""
    """The TFLite kernel that was at work: `conv`, `reverse`."""
    pass_: str = ""
    """The compiler pass that was at work: `PrepareQuantizePass`."""
    heap: bool = False
    """The heap was found broken: whoever runs now need not have done it."""
    overflow: bool = False
    """The stack ran out: `function` is the one that calls itself."""
    specific: bool = False
    """Whether `function` names a defect by itself: it is a function, and not one that runs whatever there is."""

    @property
    def text(self) -> str:
        """The function, with the kernel where the name does not say it."""
        told = not self.kernel or _bare(self.kernel) in _bare(self.function)
        words = [self.function, "" if told or not self.function else f"(kernel {self.kernel})"]
        return " ".join(filter(None, [*words, "(stack overflow)" if self.overflow else ""]))


def culprit(trace: Trace) -> Culprit:
    """Whom the stack of a crash blames."""
    frames = _native(trace.frames)
    names = [function_at(frame) for frame in frames]
    if not trace.overflow and _in_heap(trace.frames):
        return Culprit(heap=True)
    wanted = _recursive(frames) if trace.overflow else None
    return _choose(frames, names, wanted, trace.overflow)


def culprit_of_samples(samples: Sequence[Trace]) -> Culprit:
    """Whom the stacks of a process that does not end blame: the innermost function that all of them have."""
    if not samples:
        return Culprit()
    named = [[_key(frame) for frame in _native(trace.frames)] for trace in samples]
    common = set(named[0]).intersection(*named[1:])
    frames = [frame for frame in _native(samples[0].frames) if _key(frame) in common]
    return _choose(frames, [function_at(frame) for frame in frames])


def stack_lines(trace: Trace) -> list[str]:
    """The stack for people, innermost first: `module function`, or `module +0xoffset` where there is no symbol."""
    return [f"{module_name(frame)} {function_at(frame) or f'+{frame.offset:#x}'}" for frame in trace.frames[:MAX_STACK]]


def reason_to_skip(name: str) -> str:
    """Why a function names no defect; empty when it does."""
    return next((reason for pattern, reason in SKIPPED if pattern.match(name)), "")


def _native(frames: Iterable[Frame]) -> list[Frame]:
    """The frames up to the first of Python, without those of the system and of memory that has no file."""
    kept = []
    for frame in frames:
        module = module_name(frame)
        if _PYTHON.match(module):
            break
        if frame.module and not _SYSTEM.match(module):
            kept.append(frame)
    return kept


def _choose(frames: list[Frame], names: list[str], wanted: set[str] | None = None, overflow: bool = False) -> Culprit:
    own = takewhile(lambda name: not name.startswith(_RUNS_KERNELS), names)
    kernel = next((found[1] for name in own if (found := _KERNEL.match(name))), "")
    passes = (found[1] or found[2] for name in names if (found := _PASS.search(name)))
    pass_ = next(passes, "")
    for name in names:
        if name and not reason_to_skip(name) and (wanted is None or name in wanted):
            return Culprit(_CALL.sub("", name), kernel, pass_, overflow=overflow, specific=not _DRIVER.match(name))
    # All are helpers or have no symbols: the innermost module is all that can be said.
    stripped = next((module_name(frame) for frame, name in zip(frames, names, strict=True) if not name), "")
    return Culprit(stripped, kernel, pass_, overflow=overflow)


def _recursive(frames: list[Frame]) -> set[str]:
    """The function of a recursion that names it: the first by name of those on every turn, whichever it ended in."""
    counts = Counter(name for frame in frames if (name := function_at(frame)) and not reason_to_skip(name))
    most = max(counts.values(), default=0)
    return set(sorted(name for name, count in counts.items() if count * 2 > most)[:1])


def _in_heap(frames: Iterable[Frame]) -> bool:
    """Whether the stack ends in the heap's own functions."""
    for frame in frames:
        if not _C_LIBRARY.match(module_name(frame)):
            return False
        if function_at(frame) in _HEAP:
            return True
    return False


def _key(frame: Frame) -> str:
    """What equals for the same function in two stacks."""
    return function_at(frame) or module_name(frame)


def _bare(name: str) -> str:
    return name.lower().replace("_", "")
