"""Reproducers: a finding as about one page of Python that needs TensorFlow and NumPy, and nothing of ours.

The script prints what was expected and what came, exits 1 while the defect is there, 0 when it is gone, and 2
when it cannot tell. Code of ops comes from the ops' own source (`fuzzer.findings.source`), numbers from the
recipes (`fuzzer.findings.tensors`); titles and messages, which a case may have shaped, enter escaped only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fuzzer.case import RUNTIMES, Case
from fuzzer.findings import layout, metamorphic_text, rewrite_text, run_text
from fuzzer.findings.fragment import fragment
from fuzzer.findings.kernel_text import LIMITS, between_kernels
from fuzzer.findings.model_error_text import against_model, limit, shown_against_model
from fuzzer.findings.model_text import KERAS, ModelText, convert
from fuzzer.findings.road_text import needs_folder, reference_call
from fuzzer.findings.tensors import Tensors, samples, weights
from fuzzer.findings.tolerance_text import Tolerance, by_tolerance, tolerance_of
from fuzzer.findings.training_text import tfmot_imports
from fuzzer.findings.truth_text import against_truth
from fuzzer.oracles.confirm.truth import jumps
from fuzzer.oracles.verdict import DEATHS, Kind, Stage, Verdict

_SIMPLE_BOUND_FROM = 1e3
"""Errors of this many bounds are beyond the short bound too (1e-5 of the largest value): the campaign's bound
is at least two roundings, 2.4e-7 of it, so 1,000 bounds are 2.4e-4 of it, and eight short bounds are 8e-5."""
_FACTOR = 8
_SIGNATURE = frozenset({Kind.OUTPUT_COUNT, Kind.SHAPE, Kind.DTYPE})
_DTYPES = {"string": "object"}
"""What NumPy calls a dtype, where that is another name."""
_ERRORS = frozenset({Kind.CONVERTER_ERROR, Kind.ALLOCATE_ERROR, Kind.INVOKE_ERROR})
_CPU_S = 5
_DEADLOCK_S = 120


def reproducer(case: Case, verdict: Verdict, title: str, versions: str) -> str:
    """The text of `repro.py` for a finding. `title` and `versions` are shown in its docstring."""
    lines = _Script(case, verdict).lines(title, versions)
    text = "\n".join(line.rstrip() for line in lines)
    return re.sub(r"\n{4,}", "\n\n\n", text).strip("\n") + "\n"


@dataclass
class _Script:
    case: Case
    verdict: Verdict

    # --- what is needed ---------------------------------------------------------------------------------

    @cached_property
    def compares(self) -> bool:
        """Whether outputs are compared element by element."""
        numbers = (Kind.VALUE, Kind.NAN_PROPAGATION)
        return self.verdict.kind in numbers or (self.verdict.kind is Kind.CALIBRATION and self.modelled)

    @cached_property
    def modelled(self) -> bool:
        """Whether a quantised flatbuffer is compared with the model itself: all kernels are wrong alike."""
        quantised = self.case.conversion.judged != "float32" and self.tolerance is None
        return quantised and shown_against_model(self.verdict.evidence)

    @cached_property
    def relates(self) -> bool:
        """Whether a metamorphic relation is shown, or what dies of it."""
        known = self.case.inference.relation != "none"
        return known and (self.verdict.kind is Kind.METAMORPHIC or self.reach is Stage.METAMORPHIC)

    @property
    def _converted(self) -> list[Case]:
        """The case, and the one that it is held against where that is another conversion."""
        return [self.case, *(metamorphic_text.others(self.case, self.verdict) if self.relates else [])]

    @cached_property
    def tolerance(self) -> Tolerance | None:
        """What alone tells wrong results from right ones, where one number an output does."""
        return tolerance_of(self.case, self.verdict) if not self.relates else None

    @cached_property
    def truth(self) -> bool:
        """Whether the base is the float64 truth."""
        return self.compares and self.case.conversion.judged == "float32" and self.tolerance is None

    @cached_property
    def tracked(self) -> bool:
        """Whether the campaign's own error bound is needed: the error is too small for the short one."""
        sure = self.verdict.unit == "x bound" and self.verdict.severity >= _SIMPLE_BOUND_FROM
        strings = any(t.dtype == "string" for t in self.case.model.output_types)
        unsure = (not sure or jumps(self.case)) and not strings
        return self.truth and self.verdict.kind is Kind.VALUE and unsure

    @cached_property
    def guilty(self) -> tuple[str, ...]:
        """The runtimes at fault, worst first. Names that are no runtime's are passed over."""
        named = self.verdict.evidence.get("runtimes")
        listed = [str(r) for r in named] if isinstance(named, list | tuple) else []
        known = [r for r in dict.fromkeys((self.verdict.runtime, *listed)) if r in RUNTIMES]
        return tuple(known or self.case.inference.runtimes[:1])

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """The runtimes whose results are shown: TensorFlow's three, and LiteRT where it takes part."""
        litert = "litert" in self.guilty or (self.compares and "litert" in self.case.inference.runtimes)
        return tuple(r for r in RUNTIMES if r != "litert" or litert)

    @cached_property
    def reach(self) -> Stage:
        """The last stage that has to run."""
        return self.verdict.stage

    @property
    def needs_samples(self) -> bool:
        """Whether inputs are needed: to run something, or to calibrate."""
        before = self.reach in (Stage.BUILD, Stage.CONVERT, Stage.ALLOCATE)
        calibrates = self.case.conversion.calibrated and self.reach is not Stage.BUILD
        return not before or calibrates

    @property
    def needs_litert(self) -> bool:
        """Whether LiteRT takes part."""
        if self.reach in (Stage.BUILD, Stage.REFERENCE, Stage.CONVERT):
            return False
        return "litert" in self.shown if self.compares else self.guilty[0] == "litert"

    # --- the page ---------------------------------------------------------------------------------------

    def lines(self, title: str, versions: str) -> list[str]:
        """All lines of the script."""
        case, kind = self.case, self.verdict.kind
        made = Tensors()
        names = weights(case, made)
        rows = samples(case, made) if self.needs_samples else []
        return [
            *_docstring(title, versions, rewrite_text.sentence(self.verdict)),
            *self._imports(),
            *_OUTSIDE,
            *(self._parent() if kind in DEATHS else []),
            *self._libraries(),
            *(["", *made.helpers] if made.helpers else []),
            "",
            *made.lines,
            *(_sample_lines(rows) if rows else []),
            *self._model(),
            *self._conversion(),
            *self._judging(),
            *([] if names or rows else [""]),
        ]

    def _imports(self) -> list[str]:
        modules = {"os", "sys"}
        if self.verdict.kind in DEATHS:
            modules |= {"subprocess", "resource" if self.verdict.kind is Kind.OUT_OF_MEMORY else "signal"}
        if any(needs_folder(case) for case in self._converted) and self.reach is not Stage.REFERENCE:
            modules.add("tempfile")
        runs = self.reach in (Stage.INVOKE, Stage.COMPARE, Stage.METAMORPHIC)
        resized = self.case.conversion.resized and self.reach is Stage.ALLOCATE
        if (runs or resized) and len(self.case.model.inputs) > 1:
            modules.add("re")
        if self.needs_litert:
            modules.add("importlib.metadata")
        return ["", *(f"import {m}" for m in sorted(modules))]

    def _libraries(self) -> list[str]:
        lines = ["", 'os.environ["CUDA_VISIBLE_DEVICES"] = "-1"', 'os.environ["TF_CPP_MIN_LOG_LEVEL"] = "1"']
        if self.reach in (Stage.REFERENCE, Stage.BUILD):
            lines += [
                'os.environ["TF_NUM_INTRAOP_THREADS"] = "1"',
                'os.environ["TF_NUM_INTEROP_THREADS"] = "1"',
            ]
        lines += ["", "import numpy as np", "import tensorflow as tf"]
        if self.needs_litert:
            lines.append("from ai_edge_litert.interpreter import Interpreter as LiteRtInterpreter")
        lines += metamorphic_text.imports(self.case, self.verdict) if self.relates else []
        if self._keras and self.case.conversion.entry == "legacy_keras":
            lines += ["import tf_keras", *tfmot_imports(self.case)]
        shown = []
        shown += ['"ai-edge-litert", importlib.metadata.version("ai-edge-litert")'] if self.needs_litert else []
        shown += ['"tf-keras", tf_keras.__version__'] if "import tf_keras" in lines else []
        return [
            *lines,
            "",
            'print("tensorflow", tf.__version__, "numpy", np.__version__, flush=True)',
            *(f"print({package})" for package in shown),
            *(['np.seterr(all="ignore")'] if self.compares else []),
        ]

    @property
    def _keras(self) -> bool:
        return self.case.conversion.entry in KERAS and self.reach is not Stage.REFERENCE

    def _model(self) -> list[str]:
        lines: list[str] = []
        if not self._keras or self.truth or self.modelled or self.tolerance:
            lines += ModelText(self.case, self.truth or self.modelled, self.tracked).function()
        if self._keras:
            lines += ModelText(self.case).keras()
        return lines

    def _conversion(self) -> list[str]:
        if self.reach is Stage.REFERENCE:
            return []
        guard = self._guard() if self.reach is Stage.CONVERT else []
        return convert(self.case, self.truth or self.modelled, guard, build_only=self.reach is Stage.BUILD)

    def _judging(self) -> list[str]:
        if self.verdict.kind in DEATHS:
            return self._child()
        if self.relates:
            shown = metamorphic_text.functions(self.case, self.verdict, self.guilty[0])
            return [*shown, *metamorphic_text.judging(self.case, self.verdict)]
        if self.verdict.kind in _ERRORS:
            return self._error()
        if self.verdict.kind in _SIGNATURE:
            return self._signature()
        if self.verdict.kind is Kind.CALIBRATION and not self.modelled:
            return self._scales()
        if self.tolerance is not None:
            return by_tolerance(self.case, self.tolerance, self.shown, self.guilty)
        if self.truth:
            body, bar = against_truth(self.case, self.verdict, self.tracked), float(_FACTOR)
        elif self.modelled:
            body = against_model(self.case, self.verdict.evidence)
            bar = limit(self.verdict.evidence)
        else:
            body = between_kernels(self.case, self.verdict, self.guilty)
            bar = LIMITS.get(self.case.conversion.judged, 0.0)
        if self.verdict.kind is Kind.NAN_PROPAGATION:
            bar = 0.0
        return [
            *run_text.interpreter_of(self.case, self.needs_litert),
            *run_text.run(self.case),
            *body,
            *run_text.answer(self.shown, self.guilty, bar),
        ]

    # --- errors and signatures --------------------------------------------------------------------------

    def _to_interpreter(self, invoke: bool, guard: Sequence[str] = ()) -> list[str]:
        """Lines that allocate, and invoke when asked to, on the guilty runtime."""
        made = run_text.interpreter(self.guilty[0], self.case.inference.threads)
        lines = [*made, *run_text.allocate(self.case)]
        return [*lines, *guard, *run_text.invoke(self.case)] if invoke else [*guard, *lines]

    def _error(self) -> list[str]:
        message = str(self.verdict.evidence.get("message") or self.verdict.message)
        if self.verdict.kind is Kind.CONVERTER_ERROR:
            before, tried, caught = [], ["convert()"], "Exception"
        else:
            invoke = self.verdict.kind is Kind.INVOKE_ERROR
            before = ["flatbuffer = convert()"]
            tried, caught = self._to_interpreter(invoke), "(RuntimeError, ValueError, NotImplementedError)"
        what = {"converter": "the converter"}.get(self.verdict.runtime, self.guilty[0])
        return [
            "",
            "",
            *layout.assign("DEFECT", layout.string(fragment(message))),
            *before,
            "try:",
            *(f"    {line}" for line in tried),
            f"except {caught} as error:",
            '    message = f"{type(error).__name__}: {error}"',
            f'    print("expected: no error from {what}")',
            '    print("actual:  ", message)',
            "    if DEFECT in message:",
            '        print("The defect is there.")',
            "        sys.exit(1)",
            '    print("Another error than the one this script is about.")',
            "    sys.exit(2)",
            'print("No error: the defect is gone.")',
        ]

    def _scales(self) -> list[str]:
        """Scales that are no number above zero."""
        return [
            "",
            "",
            "flatbuffer = convert()",
            "interpreter = tf.lite.Interpreter(",
            "    model_content=flatbuffer,",
            "    experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,",
            ")",
            "defect = False",
            "for detail in interpreter.get_tensor_details():",
            '    scales = detail["quantization_parameters"]["scales"]',
            "    if not np.all((scales > 0) & np.isfinite(scales)):",
            "        defect = True",
            """        print("expected: scales above zero; actual:", detail["name"], scales[:8])""",
            'print("The defect is there." if defect else "The defect is gone.")',
            "sys.exit(1 if defect else 0)",
        ]

    def _signature(self) -> list[str]:
        case = self.case
        quantised = case.conversion.io != "float32"
        want = [
            (t.shape, case.conversion.io if quantised and t.dtype == "float32" else _DTYPES.get(t.dtype, t.dtype))
            for t in case.model.output_types
        ]
        listing = ["details = interpreter.get_output_details()"]
        if self.verdict.kind is not Kind.OUTPUT_COUNT:
            listing = run_text.details(case)
        declared = [*listing, 'declared = [tuple(map(int, detail["shape"])) for detail in details]']
        return [
            "",
            "",
            *layout.assign("expected", repr(want)),
            "flatbuffer = convert()",
            *run_text.interpreter(self.guilty[0], case.inference.threads),
            *run_text.allocate(case),
            *([] if case.conversion.resized else declared),
            "inputs = samples[0]",
            *run_text.feed(case),
            "interpreter.invoke()",
            *(declared if case.conversion.resized else []),
            "outputs = []",
            *run_text.read(case),
            "actual = [(y.shape, y.dtype.name) for y in outputs]",
            'print("expected:", expected)',
            'print("declared:", declared)',
            'print("actual:  ", actual)',
            "defect = actual != expected or declared != [shape for shape, _ in expected]",
            'print("The defect is there." if defect else "The defect is gone.")',
            "sys.exit(1 if defect else 0)",
        ]

    # --- deaths -----------------------------------------------------------------------------------------

    def _parent(self) -> list[str]:
        """The part that starts this script once more and watches it die."""
        kind = self.verdict.kind
        signal_name = str(self.verdict.evidence.get("signal", ""))
        where = f"{self.reach.value}" + (f" under {self.guilty[0]}" if self.reach in _RUNNING else "")
        if kind is Kind.HANG:
            judged = [
                "hung = status in (None, -signal.SIGPROF)",
                f'print("expected: an answer from {where} within {self._cpu_s} s of CPU time")',
                'print("actual:  ", "none" if hung else f"exit status {status}")',
                "sys.exit(1 if hung else 0 if status == 0 else 2)",
            ]
        elif kind is Kind.OUT_OF_MEMORY:
            judged = [
                "exhausted = status in (None, 3) or status < 0",
                f'print("expected: {where} within {self._memory_mb} MB of memory")',
                'print("actual:  ", "more was asked for" if exhausted else f"exit status {status}")',
                "sys.exit(1 if exhausted else 0 if status == 0 else 2)",
            ]
        else:
            ended = re.fullmatch(r"exit (\d{1,3})", signal_name)
            code = int(ended.group(1)) if ended else 0
            test = f"status == {code}" if code not in (0, 2) else "status is not None and status < 0"
            judged = [
                f"crashed = {test}",
                f'print("expected: {where} ends without a crash")',
                'name = signal.Signals(-status).name if status and status < 0 else f"exit status {status}"',
                'print("actual:  ", name)',
                "sys.exit(1 if crashed else 0 if status == 0 else 2)",
            ]
        return fill_parent(judged)

    @cached_property
    def _cpu_s(self) -> int:
        return max(1, min(_CPU_S, int(self.verdict.severity or _CPU_S)))

    @cached_property
    def _memory_mb(self) -> int:
        return max(512, min(3000, int(0.7 * self.verdict.severity)))

    def _guard(self) -> list[str]:
        """Lines right before the guilty stage that turn a hang or a flood of memory into a death."""
        if self.verdict.kind is Kind.HANG:
            return [f"signal.setitimer(signal.ITIMER_PROF, {self._cpu_s})  # seconds of CPU time, then SIGPROF"]
        if self.verdict.kind is Kind.OUT_OF_MEMORY:
            return [
                'with open("/proc/self/statm") as file:',
                '    used = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")',
                f"limit = used + {self._memory_mb} * 2**20",
                "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))",
            ]
        return []

    def _child(self) -> list[str]:
        """The part that dies."""
        guard = self._guard()
        if self.reach is Stage.REFERENCE:
            body = [*guard, "for inputs in samples:", f"    {reference_call(self.case)}"]
        elif self.reach is Stage.BUILD:
            body = [*guard, "convert()"]
        elif self.reach is Stage.CONVERT:
            body = ["convert()"]
        elif self.relates:
            body = ["flatbuffer = convert()", *guard, "changed(flatbuffer)"]
        else:
            invoke = self.reach is not Stage.ALLOCATE
            body = ["flatbuffer = convert()", *self._to_interpreter(invoke, guard)]
        if self.verdict.kind is Kind.OUT_OF_MEMORY:
            tried = [f"    {line}" for line in body]
            refused = [
                "except (MemoryError, tf.errors.ResourceExhaustedError) as error:",
                "    print(error, flush=True)",
            ]
            body = ["try:", *tried, *refused, "    os._exit(3)"]
        functions = metamorphic_text.functions(self.case, self.verdict, self.guilty[0]) if self.relates else []
        return [*functions, "", "", *body, 'print("It came through.", flush=True)', "os._exit(0)"]


_RUNNING = (Stage.ALLOCATE, Stage.INVOKE, Stage.COMPARE, Stage.METAMORPHIC)


def fill_parent(judged: Sequence[str]) -> list[str]:
    """The parent's half of a script that dies; `judged` turns `status` into an exit status."""
    return [
        "",
        'if "--child" not in sys.argv:',
        '    command = [sys.executable, "-X", "faulthandler", __file__, "--child"]',
        "    try:",
        f"        status = subprocess.run(command, timeout={_DEADLOCK_S}).returncode",
        "    except subprocess.TimeoutExpired:",
        "        status = None",
        *(f"    {line}" for line in judged),
    ]


_OUTSIDE = '''

def cannot_tell(*error):
    """Any error but the defect, a missing module for instance, is no answer: exit 2."""
    sys.__excepthook__(*error)
    sys.stdout.flush()
    os._exit(2)


sys.excepthook = cannot_tell'''.splitlines()


def _docstring(title: str, versions: str, more_told: str) -> list[str]:
    first, *more = layout.prose(title)
    return [
        f'"""{first}',
        *more,
        "",
        *(layout.prose(more_told) if more_told else []),
        *layout.prose(f"Found with {versions}."),
        "Exits 1 while the defect is there, 0 when it is gone, 2 when it cannot tell.",
        '"""',
    ]


def _sample_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    return layout.assign("samples", f"[{', '.join('[' + ', '.join(row) + ']' for row in rows)}]")
