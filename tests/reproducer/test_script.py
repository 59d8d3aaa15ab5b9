"""Reproducers: their text without TensorFlow, and (slow) real defects, run where `fuzzer` is out of reach."""

from __future__ import annotations

import ast
import builtins
import io
import json
import os
import re
import subprocess
import sys
import time
import tokenize
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fuzzer.build.values import numpy_dtype, samples_of, tensor, weight, weights_of
from fuzzer.case import DISTRIBUTIONS, PRUNINGS, RUNTIMES, Case, Conversion, Inference, Model, Node, Recipe
from fuzzer.case.codec import from_json
from fuzzer.errors import GenerateAnother
from fuzzer.mutate import generate, mutate
from fuzzer.ops import DTYPE_BYTES, TensorType, WeightSlot, registry
from fuzzer.oracles.confirm.quantised import ROUNDED
from fuzzer.oracles.messages import converter_message, normalise, runtime_message
from fuzzer.oracles.verdict import DEATHS, SCRIPT_DIES, Kind, Stage, Verdict
from fuzzer.reproducer import script as script_module
from fuzzer.reproducer.fragment import fragment
from fuzzer.reproducer.layout import WIDTH, prose
from fuzzer.reproducer.model_text import ModelText
from fuzzer.reproducer.script import reproducer
from fuzzer.reproducer.tensors import Slot, Tensors

CASES = Path(__file__).parent / "cases"
ALLOWED = {"importlib", "os", "re", "resource", "signal", "subprocess", "sys", "tempfile"}
ALLOWED |= {"numpy", "tensorflow", "ai_edge_litert", "tf_keras", "tensorflow_model_optimization"}
HOSTILE = 'a"b\'c """ \'\'\' \\ \\N{DASH} \\" {title} %s\n"""\nimport os; os.system("boom")\n'
HOSTILE += "\x00\x1b[31m\u202e\ud800"
WHERE = {
    Kind.VALUE: (Stage.COMPARE,),
    Kind.NAN_PROPAGATION: (Stage.COMPARE,),
    Kind.OUTPUT_COUNT: (Stage.COMPARE,),
    Kind.SHAPE: (Stage.COMPARE,),
    Kind.DTYPE: (Stage.COMPARE,),
    Kind.CONVERTER_ERROR: (Stage.CONVERT,),
    Kind.ALLOCATE_ERROR: (Stage.ALLOCATE,),
    Kind.INVOKE_ERROR: (Stage.INVOKE,),
    **dict.fromkeys(DEATHS, (Stage.REFERENCE, Stage.BUILD, Stage.CONVERT, Stage.ALLOCATE, Stage.INVOKE)),
}


def cases(count: int, seed: int) -> Iterator[tuple[Case, Random]]:
    rng = Random(seed)
    pool = [generate(rng) for _ in range(60)]
    for _ in range(count):
        case = rng.choice(pool)
        for _ in range(rng.randint(0, 5)):
            try:
                case, _ = mutate(case, rng)
            except GenerateAnother:
                continue
        yield case, rng


def verdict(kind: Kind = Kind.VALUE, stage: Stage = Stage.COMPARE, runtime: str = "tf-xnnpack", **more: Any) -> Verdict:
    evidence = {"message": "something failed", "signal": "SIGABRT", "runtimes": [runtime], **more}
    return Verdict(stage, kind, "made up", runtime, 1e6, "x bound", evidence=evidence)


def drawn_verdict(rng: Random) -> Verdict:
    kind = rng.choice(sorted(WHERE))
    made = verdict(kind, rng.choice(WHERE[kind]), rng.choice(RUNTIMES))
    return replace(made, severity=rng.choice((10.0, 1e6)))


def undefined(tree: ast.Module) -> set[str]:
    """Names that are read and never defined anywhere."""
    known = set(dir(builtins)) | {"__file__"}
    read = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else known).add(node.id)
        elif isinstance(node, ast.arg):
            known.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            known.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            known.update((a.asname or a.name).split(".")[0] for a in node.names)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            known.add(node.name)
    return read - known


def imported(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(a.name.split(".")[0] for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    return found


_TF = SimpleNamespace(bfloat16=SimpleNamespace(as_numpy_dtype=numpy_dtype("bfloat16").type))
"""All of TensorFlow that lines of numbers need."""


def numbers(script: str) -> dict[str, Any]:
    """Runs only the lines of a script that define weights and inputs."""
    data = re.compile(r"BOUNDARY|WORDS|random|samples|n\d+_\w+|x\d+|sample\d+_x\d+")
    body = [
        node
        for node in ast.parse(script).body
        if (isinstance(node, ast.FunctionDef) and node.name in ("cluster", "two_four"))
        or (isinstance(node, ast.Assign) and data.fullmatch(ast.unparse(node.targets[0])))
    ]
    scope: dict[str, Any] = {"np": np, "tf": _TF}
    with np.errstate(all="ignore"):
        exec(compile(ast.Module(body, []), "numbers", "exec"), scope)  # noqa: S102
    return scope


def assert_same(actual: Any, expected: Any) -> None:
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    if actual.dtype == object:
        assert actual.tolist() == expected.tolist()
    else:
        assert actual.tobytes() == expected.tobytes()


def assert_numbers(case: Case, script: str) -> None:
    scope = numbers(script)
    for typed, weights in zip(case.model.typed, weights_of(case), strict=True):
        for name, value in weights.items():
            assert_same(scope[f"{typed.name}_{name}"], value)
    rows = scope.get("samples") or [[scope[f"x{i}"] for i in range(len(case.model.inputs))]]
    assert len(rows) == len(case.inference.inputs)
    for row, sample in zip(rows, samples_of(case), strict=True):
        for actual, expected in zip(row, sample, strict=True):
            assert_same(actual, expected)


# --- text -------------------------------------------------------------------------------------------------


def test_scripts_of_many_cases_are_python_that_needs_nothing_of_ours() -> None:
    wide = 0
    for case, rng in cases(300, 1):
        made = drawn_verdict(rng)
        script = reproducer(case, made, "a title", "tensorflow 2.21.0")
        tree = ast.parse(script)
        compile(script, "repro.py", "exec")
        assert imported(tree) <= ALLOWED, made
        assert not undefined(tree), made
        assert "fuzzer" not in script
        assert "is not None else" not in script
        uses = imported(tree)
        assert ("tf_keras" in uses) <= (case.conversion.entry == "legacy_keras")
        if made.stage in (Stage.REFERENCE, Stage.BUILD, Stage.CONVERT):
            assert "ai_edge_litert" not in uses
        # Code of an op may have a form that is not known to be laid out better: one line in a thousand.
        wide += sum(len(line) > WIDTH for line in script.splitlines())
    assert wide <= 6


def test_same_finding_gives_the_same_script() -> None:
    for case, rng in cases(20, 2):
        made = drawn_verdict(rng)
        assert reproducer(case, made, "t", "v") == reproducer(case, made, "t", "v")


def test_a_title_that_was_cut_ends_in_plain_dots() -> None:
    assert prose("Consider us…") == ["Consider us..."] and prose("é\x07") == ["??"]


def test_several_examiners_write_one_script_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """CPython counts the depth of syntax trees for all threads together, and raises `SystemError` where it is off."""
    drawn = [(case, drawn_verdict(rng)) for case, rng in cases(6, 5)]
    alone = [reproducer(case, told, "title", "v") for case, told in drawn]
    at_work: list[int] = []
    most, page = [0], script_module._page

    def watched(plan: Any) -> list[str]:
        at_work.append(1)
        most[0] = max(most[0], len(at_work))
        time.sleep(0.02)
        lines = page(plan)
        at_work.pop()
        return lines

    monkeypatch.setattr(script_module, "_page", watched)
    with ThreadPoolExecutor(4) as threads:
        again = list(threads.map(lambda pair: reproducer(*pair, "title", "v"), drawn))
    assert again == alone and most == [1]


def test_numbers_of_many_cases_are_the_campaigns_bit_for_bit() -> None:
    for case, _ in cases(300, 3):
        assert_numbers(case, reproducer(case, verdict(), "t", "v"))


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "int64"])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_numbers_of_every_kind_of_recipe(dtype: str, distribution: str) -> None:
    rng = Random(f"{dtype}{distribution}")
    for _ in range(60):
        values = (
            tuple(rng.choice((0.1, -3.5, 1e30, 7.0, 0.0, -0.0)) for _ in range(5)) if distribution == "literal" else ()
        )
        recipes = [
            Recipe(
                distribution,
                rng.randrange(2**31),
                rng.choice((1.0, 0.0, -0.3, 1e30, 1e-30, 0.1)),
                rng.choice((0.0, 1.0, -1.0, 1e5, -1e30)),
                rng.choice((0.0, 0.0, 0.5, 1.0)),
                rng.choice((0, 0, 1, 2, 16)),
                values,
            )
            for _ in range(3)
        ]
        shape = rng.choice(((1,), (7,), (2, 3, 4), (5, 3, 2), (1, 1, 40)))
        node = Node("add", ("x0",), {"const_rank": 3}, {"const": recipes[0]})
        model = Model((TensorType(shape, dtype),), (node,), ("n0",))
        case = Case(model, Conversion(), Inference(inputs=tuple(recipes[1 : rng.randint(2, 3)])))
        assert_numbers(case, reproducer(case, verdict(), "t", "v"))


SHAPES = ((), (0,), (1,), (7,), (40,), (3, 0), (2, 3, 4), (33, 5), (48, 2), (2, 3, 4, 5), (2, 2, 17, 3), (0, 3, 2))


def literals(rng: Random) -> tuple[float, ...]:
    return tuple(rng.choice((0.1, -3.5, 1e38, 7.0, 0.0, -0.0)) for _ in range(5))


@pytest.mark.parametrize("dtype", sorted(DTYPE_BYTES))
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_lines_of_every_distribution_dtype_and_structure(dtype: str, distribution: str) -> None:
    rng = Random(f"{dtype} {distribution}")
    for shape in SHAPES:
        for pattern in (*PRUNINGS, "random"):
            recipe = Recipe(
                distribution,
                rng.randrange(2**31),
                rng.choice((1.0, 1.0, 0.0, -0.3, 1e30)),
                rng.choice((0.0, 0.0, 1.0, -1e30)),
                rng.choice((0.0, 0.4, 1.0)),
                rng.choice((0, 0, 2, 16)),
                literals(rng) if distribution == "literal" else (),
                pattern,
            )
            slot = WeightSlot("w", TensorType(shape, dtype), rng.choice((1.0, 0.25)), rng.choice((0.0, 1.0)))
            if dtype.startswith("int") and rng.random() < 0.5:
                slot = replace(slot, span=rng.choice(((0, 7), (-3, 3), (2, 2))))
            elif dtype not in ("bool", "string", "complex64"):
                slot = replace(slot, positive=rng.random() < 0.3)
            for wanted, asked in (
                (weight(slot, recipe), Slot(slot.unit, slot.base, slot.positive, slot.span)),
                (tensor(recipe, slot.type), None),
            ):
                made = Tensors()
                made.add("x0", wanted, slot.type, recipe, asked)
                scope = numbers("\n".join([*made.helpers, *made.lines]))
                assert_same(np.asarray(scope["x0"]), wanted)
                assert all(len(line) <= 100 for line in made.lines), made.lines


def test_positive_weights_and_slots_without_recipe() -> None:
    node = Node("batch_norm", ("x0",), {"epsilon": 1e-3, "fused": True}, {"variance": Recipe("normal", 4)})
    case = Case(Model((TensorType((1, 2, 2, 40), "float32"),), (node,), ("n0",)))
    script = reproducer(case, verdict(), "t", "v")
    assert "np.abs(" in script
    assert_numbers(case, script)


@pytest.mark.parametrize("scheme", ["float32", "float16", "int8"])
@pytest.mark.parametrize("dtype", sorted(DTYPE_BYTES))
def test_judges_take_every_dtype_and_tensors_without_elements(dtype: str, scheme: str, capsys: Any) -> None:
    """The function `judge` of a script, run alone: silent on equal outputs, loud on another element."""
    types = tuple(TensorType(shape, dtype) for shape in ((2, 3), (0, 3), (4,)))
    case = Case(Model(types, (), ("x0", "x1", "x2")), Conversion(scheme=scheme, optimizations="default").repaired())
    script = reproducer(case, replace(verdict(), severity=1e6), "t", "v")
    judge = [n for n in ast.parse(script).body if isinstance(n, ast.FunctionDef) and n.name in ("judge", "bounds_of")]
    same = [tensor(Recipe("uniform", i), t) for i, t in enumerate(types)]
    other = [*same[:2], np.roll(same[2], 1)]
    other[2][0] = b"other" if dtype == "string" else not same[2][0] if dtype == "bool" else 99
    wide = [v if v.dtype.kind in "Oc" else v * 1 if dtype == "bool" else v.astype(np.float64) for v in same]
    scope: dict[str, Any] = {"np": np, "truth": wide, "expected": same, "tensorflow": same, "steps": [0.0]}
    exec(compile(ast.Module(judge, []), "judge", "exec"), scope)  # noqa: S102
    if "bounds_of" in scope:
        scope["bounds"] = [scope["bounds_of"](v, v) for v in wide]
    assert scope["judge"]("one", same) <= 1.0
    assert scope["judge"]("two", other) > 8 or scheme != "float32"
    assert scope["judge"]("two", other) > 0
    assert "two" in capsys.readouterr().out


def image(op: str, **attrs: Any) -> Case:
    plain = {k: domain.default for k, domain in registry()[op].attrs.items()}
    model = Model((TensorType((1, 6, 6, 3), "float32"),), (Node(op, ("x0",), {**plain, **attrs}),), ("n0",))
    return Case(model, inference=Inference(inputs=(Recipe("normal", 2),)))


def test_an_op_is_inlined_as_one_would_write_it() -> None:
    case = image("conv2d", kernel=(3, 2), dilations=(2, 1), use_bias=False)
    assert ModelText(case).function()[2:] == [
        "def model(x0):",
        '    return tf.nn.conv2d(x0, n0_filter, strides=(1, 1), padding="SAME", dilations=(2, 1))',
    ]
    with_bias = "\n".join(ModelText(image("conv2d", use_bias=True)).function())
    assert "n0 = tf.nn.conv2d(" in with_bias and "return tf.nn.bias_add(n0, n0_bias)" in with_bias
    assert "tf.transpose(x0, [2, 3, 0, 1])" in "\n".join(ModelText(image("transpose", rotate=2)).function())
    assert "[[0, 0], [1, 1], [1, 1], [0, 0]]" in "\n".join(ModelText(image("pad")).function())


def test_dtype_tests_stay_only_where_the_model_runs_in_float64() -> None:
    case = image("batch_norm", fused=True)
    assert "dtype" not in "\n".join(ModelText(case).function())
    assert "if x0.dtype == tf.float32" in "\n".join(ModelText(case, truth=True).function())
    pair = (TensorType((2,), "float32"), TensorType((2,), "float32"))
    plain = {k: domain.default for k, domain in registry()["truncate_div"].attrs.items()}
    division = Case(Model(pair, (Node("truncate_div", ("x0", "x1"), plain),), ("n0",)))
    for truth in (False, True):
        assert "    return tf.raw_ops.TruncateDiv(x=x0, y=x1)" in ModelText(division, truth=truth).function()
    whole = replace(division, model=replace(division.model, inputs=(TensorType((2,), "int32"),) * 2))
    assert "    return tf.raw_ops.TruncateDiv(x=x0, y=tf.maximum(x1, 1))" in ModelText(whole).function()


def test_a_recurrent_op_stays_a_function_without_the_branches_not_taken() -> None:
    node = Node("lstm", ("x0",), {"units": 2, "sequences": False, "unroll": False})
    case = Case(Model((TensorType((1, 3, 2), "float32"),), (node, replace(node, operands=("x0",))), ("n0", "n1")))
    text = "\n".join(ModelText(case).function())
    assert text.count("def lstm(x, kernel, recurrent, bias):") == 1
    assert "unstack" not in text and "Any" not in text and '"""' not in text


def test_samples_of_integer_schemes_are_kept_in_order_even_to_convert() -> None:
    conversion = Conversion(scheme="int8", optimizations="default", calibration=6)
    case = replace(image("relu"), conversion=conversion, inference=Inference())
    script = reproducer(case, verdict(Kind.CONVERTER_ERROR, Stage.CONVERT), "t", "v")
    assert "(samples * 2)[:6]" in script
    assert_numbers(case, script)


def test_scales_that_are_shown_by_results_have_inputs() -> None:
    """A suspicion about a scale is raised at the conversion; what it is shown by is further on."""
    evidence = {"model_error": 0.5, "noise": 0.004, "step": 0.1}
    for scheme in ("dynamic", "int8", "qat"):
        conversion = Conversion(scheme=scheme, optimizations="default").repaired()
        case = replace(image("relu"), conversion=conversion, inference=Inference(inputs=(Recipe("normal", 1),) * 2))
        script = reproducer(case, verdict(Kind.CALIBRATION, Stage.CONVERT, **evidence), "t", "v")
        assert not undefined(ast.parse(script)), scheme


@pytest.mark.parametrize("kind", sorted(WHERE))
def test_hostile_words_change_nothing_but_literals(kind: Kind) -> None:
    case = image("conv2d")
    words = "error: " + HOSTILE
    tame = verdict(kind, WHERE[kind][0], message="some error")
    wild = replace(tame, message=words, blame=words, evidence={"message": words, "signal": words, "runtimes": [words]})
    plain, hostile = (ast.parse(reproducer(case, *a)) for a in ((tame, "t", "v"), (wild, HOSTILE, HOSTILE)))
    assert not any(isinstance(n, ast.Attribute) and n.attr == "system" for n in ast.walk(hostile))

    assert code(plain) == code(hostile)
    odd = replace(tame, runtime=HOSTILE, evidence={"runtimes": {"x": 1}, "message": None, "signal": 9})
    ast.parse(reproducer(case, odd, "", ""))


def code(tree: ast.Module) -> str:
    """All of a script but the text of its strings: nothing else may depend on a word of a case.

    A long string gets a name (`DEFECT`), so the place where it is looked for is left out of it too.
    """
    body = [n for n in tree.body[1:] if not (isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "DEFECT")]
    for node in ast.walk(ast.Module(body, [])):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = "text"
        elif isinstance(node, ast.Compare) and ast.unparse(node.left) == "DEFECT":
            node.left = ast.Constant("text")
    return ast.unparse(ast.Module(body, []))


HOSTILE_WORDS = [
    "__import__('os').system('boom')",
    "{__import__('os').getcwd()} {0} {x!r} %s %(a)s $HOME `id`",
    '"""\nimport os\n"""',
    "'''",
    "ends in a backslash \\",
    'ends in a quote "',
    "\\N{DASH} \\x41 \\u0041 \\U0001F600 \\",
    "line\nline\r\nline\u2028line\u2029line\x0bline\x0cline\x85line\x00nul\x1b[2J",
    "\u202eright to left\u202c \u2066isolate \ud800 surrogate \U000e0001 tag \ufeff",
    "# fmt: off",
    "x  # fmt: skip",
    "if this: # that:",
    "a" * 5000,
    "@name@ @runtime@ @does@ @wrong@",
    "\u00e9" * 90,
    "\U0001f600" * 90,
    "",
    " ",
]


@pytest.mark.parametrize("word", HOSTILE_WORDS)
def test_no_word_of_a_case_becomes_code_or_leaves_its_line(word: str) -> None:
    """Every string field of a verdict, the title and the versions: the code is that of a harmless word."""
    fields = ("message", "signal", "pass", "tensor", "relation", "base", "dtype", "promise", "no pass")
    lists = ("runtimes", "operators", "before", "after", "stack")
    for kind, stages in WHERE.items():
        made = [
            reproducer(
                image("conv2d"),
                Verdict(
                    stages[-1],
                    kind,
                    text,
                    text,
                    20.0,
                    text,
                    text,
                    {**dict.fromkeys(fields, text), **{key: [text] for key in lists}},
                ),
                text,
                text,
            )
            for text in ("harmless" if word.strip() else "Wordless:", word)
        ]
        plain, hostile = map(ast.parse, made)
        assert code(plain) == code(hostile), kind
        assert imported(hostile) <= ALLOWED
        # The text itself is printable ASCII in lines that end where Python's lines end.
        assert all(c == "\n" or " " <= c <= "~" for c in made[1]), kind
        assert not any("#" in line and word.strip() and word in line for line in comments(made[1]))


def comments(script: str) -> list[str]:
    return [t.string for t in tokenize.generate_tokens(io.StringIO(script).readline) if t.type == tokenize.COMMENT]


@pytest.mark.parametrize(
    ("does", "exits", "says"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", 1, "SIGSEGV\nThe defect is there."),
        ("sys.exit(1)", 1, ""),
        ("sys.exit(0)", 0, ""),
        ("raise RuntimeError('another')", 2, ""),
    ],
)
def test_an_error_that_kills_by_turns_is_watched(tmp_path: Path, does: str, exits: int, says: str) -> None:
    case = replace(image("relu"), conversion=Conversion())
    told = verdict(Kind.CONVERTER_ERROR, Stage.CONVERT, "converter", **{SCRIPT_DIES: True})
    script = reproducer(case, told, "title", "tensorflow 2.21.0")
    watching, _, rest = script.partition("import numpy as np")
    assert "convert()" in rest and "The defect is there." in rest
    path = tmp_path / "repro.py"
    path.write_text(f"{watching}\nimport os\n{does}\n")
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == exits and says in done.stdout
    assert "--child" not in reproducer(case, replace(told, evidence={}), "title", "tensorflow 2.21.0")


def test_switches_with_hostile_values_are_written_as_strings() -> None:
    """A switch is the one string of a case's own that reaches the code; names that are not switches are left out."""
    for word in HOSTILE_WORDS:
        for name in ("_experimental_tf_quantization_mode", word or "x"):
            conversion = Conversion(switches={name: word})
            text = reproducer(
                replace(image("relu"), conversion=conversion), verdict(Kind.INVOKE_ERROR, Stage.INVOKE), "t", "v"
            )
            assigned = [
                n
                for n in ast.walk(ast.parse(text))
                if isinstance(n, ast.Assign) and "_mode" in ast.unparse(n.targets[0])
            ]
            assert [ast.literal_eval(n.value) for n in assigned] == ([word] if name.startswith("_exp") else [])
            assert all(c == "\n" or " " <= c <= "~" for c in text)


def test_scripts_pass_the_linter(tmp_path: Path) -> None:
    """`ruff format` leaves them alone and its rules find nothing but what an op's own code brings.

    The hook stands before the imports (E402): a library that is missing must exit 2 too.
    """
    for i, (case, rng) in enumerate(cases(60, 11)):
        (tmp_path / f"repro_{i}.py").write_text(reproducer(case, drawn_verdict(rng), "a title", "v"))
    for command in (["format", "--check"], ["check", "--select", "E4,E7,E9,F,I", "--ignore", "F841,E731,E402"]):
        run_ruff = [sys.executable, "-m", "ruff", *command, "--isolated", str(tmp_path)]
        done = subprocess.run(run_ruff, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("entry", ["frozen_graph", "session"])
def test_representative_data_are_no_placeholders(entry: str) -> None:
    """The graph of TensorFlow 1 is built where the data are read: its inputs have names of their own."""
    conversion = Conversion(entry=entry, scheme="int8", optimizations="default").repaired()
    case = replace(image("relu"), conversion=conversion)
    case = replace(case, inference=replace(case.inference, inputs=case.inference.inputs[:1]))
    text = reproducer(case, verdict(Kind.ALLOCATE_ERROR, Stage.ALLOCATE), "t", "v")
    convert = next(n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef) and n.name == "convert")
    assigned = {
        t.id for n in ast.walk(convert) if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)
    }
    assert "[[x0]]" in text and "x0" not in assigned


def test_the_page_of_a_simple_finding() -> None:
    """One page: what a person would write, and no more."""
    made = verdict(Kind.ALLOCATE_ERROR, Stage.ALLOCATE, message="x.cc:1 a != b was not true.")
    page = reproducer(image("relu"), made, "a title", "tensorflow 2.21.0")
    assert len(page.splitlines()) <= 60
    assert '@tf.function(input_signature=[tf.TensorSpec((1, 6, 6, 3), tf.float32, name="x0")])\n' in page
    for scaffold in ("lambda", "samples", "num_threads", "autograph", "os.environ", "resolver", "inputs"):
        assert scaffold not in page


def test_litert_is_asked_for_only_where_it_alone_is_guilty() -> None:
    both = verdict(runtimes=["litert", "tf-xnnpack"], runtime="litert")
    assert "ai_edge_litert" not in imported(ast.parse(reproducer(image("relu"), both, "t", "v")))
    alone = verdict(runtimes=["litert"], runtime="litert")
    assert "ai_edge_litert" in imported(ast.parse(reproducer(image("relu"), alone, "t", "v")))


def test_a_small_error_is_judged_where_it_was_found() -> None:
    """Where the campaign says which element is off, the script has its tolerance; else it measures the bound itself."""
    found = {"output": 0, "index": [0, 1, 2, 0], "expected": 1.0, "actual": 1.5}
    found |= {"runtimes": ["tf-builtin"], "ratios": {"tf-builtin": 32.0}}
    small = replace(verdict(), severity=32.0, evidence=found)
    text = reproducer(image("relu"), small, "t", "v")
    assert "at = (0, 1, 2, 0)" in text and "> 0.25" in text and "truth_and_bounds" not in text
    for wrong in (
        {"index": [0, 9, 9, 9]},
        {"index": "0"},
        {"output": 7},
        {"expected": "1"},
        {"ratios": {"litert": 9.0}},
    ):
        text = reproducer(image("relu"), replace(small, evidence={**found, **wrong}), "t", "v")
        assert "truth_and_bounds" in text


def test_a_fragment_is_fixed_text_of_the_message() -> None:
    runtime = "tensorflow/lite/kernels/pad.cc:267 a->type != b->type (INT16 != FLOAT32)Node number 1 (PADV2)."
    converter = 'x.py:1:2: error: failed while converting: "main"\n<unknown>:0: error: bad tensor<1x2xf32>, why?'
    for message, said in ((runtime, runtime_message(runtime)), (converter, converter_message(converter))):
        assert fragment(message) in message
        assert normalise(fragment(message)) in said
    assert fragment("") == ""


@pytest.mark.parametrize(
    ("said", "raised", "code"),
    [
        ("RuntimeError: ", RuntimeError(), 1),
        ("RuntimeError: ", RuntimeError("quite another error"), 2),
        ("RuntimeError: ", ValueError(), 2),
        ("42", RuntimeError("42 it is"), 1),
        ("42", RuntimeError("quite another error"), 2),
        ("", RuntimeError("quite another error"), 2),
        ("RuntimeError: a is not b", RuntimeError("a is not b"), 1),
    ],
)
def test_an_error_of_few_words_is_not_any_error(said: str, raised: Exception, code: int) -> None:
    """The converter raises a bare RuntimeError now and then: whatever else goes wrong is not that defect."""
    found = replace(verdict(Kind.CONVERTER_ERROR, Stage.CONVERT, ""), message=said, evidence={"message": said})
    body = ast.parse(reproducer(image("relu"), found, "t", "v")).body
    start = next(i for i, node in enumerate(body) if isinstance(node, ast.Try))
    names = [node for node in body[:start] if isinstance(node, ast.Assign) and "DEFECT" in ast.unparse(node)]

    def convert() -> None:
        raise raised

    with pytest.raises(SystemExit) as ended:
        exec(compile(ast.Module([*names, body[start]], []), "tail", "exec"), {"convert": convert, "sys": sys})  # noqa: S102
    assert ended.value.code == code


# --- running ----------------------------------------------------------------------------------------------


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a script as its receiver would: `fuzzer` can't be imported."""
    path = folder / "repro.py"
    path.write_text(script)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return subprocess.run(
        [sys.executable, "-I", str(path)], cwd=folder, env=kept, capture_output=True, text=True, timeout=240
    )


def saved(name: str) -> tuple[Case, Verdict]:
    tree = json.loads((CASES / f"{name}.json").read_text())
    return from_json(tree["case"]), Verdict.from_json(tree["verdict"])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.stem for path in CASES.glob("*.json")))
def test_a_real_defect_is_there(name: str, tmp_path: Path) -> None:
    case, made = saved(name)
    done = run(reproducer(case, made, name, "tensorflow 2.21.0"), tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr[-3000:]
    assert "tensorflow 2." in done.stdout and "actual" in done.stdout and "expected" in done.stdout


@pytest.mark.slow
def test_the_short_and_the_full_bound_agree(tmp_path: Path) -> None:
    case, made = saved("value_float32_depthwise")
    blind = {k: v for k, v in made.evidence.items() if k != "index"}
    done = run(reproducer(case, replace(made, severity=100.0, evidence=blind), "t", "v"), tmp_path)
    assert done.returncode == 1
    # The full bound is the campaign's own: the very ratio comes out.
    ratios = [float(number) for number in re.findall(r"\d[\d.]*e[+]\d+", done.stdout)]
    assert any(ratio == pytest.approx(made.severity, rel=0.01) for ratio in ratios), done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry", "kind", "stage"),
    [
        ("concrete_function", Kind.CRASH, Stage.INVOKE),
        ("concrete_function", Kind.HANG, Stage.CONVERT),
        ("concrete_function", Kind.OUT_OF_MEMORY, Stage.REFERENCE),
        ("saved_model", Kind.INVOKE_ERROR, Stage.INVOKE),
        ("keras", Kind.SHAPE, Stage.COMPARE),
        ("legacy_keras", Kind.VALUE, Stage.COMPARE),
    ],
)
def test_a_healthy_case_is_told_apart(entry: str, kind: Kind, stage: Stage, tmp_path: Path) -> None:
    case = image("max_pool")
    nodes = (*case.model.nodes, Node("leaky_relu", ("n0",), {"alpha": 0.2}))
    case = replace(case, model=replace(case.model, nodes=nodes, outputs=("n1",)), conversion=Conversion(entry=entry))
    done = run(reproducer(case, verdict(kind, stage, "tf-builtin"), "t", "v"), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]


@pytest.mark.slow
def test_what_cannot_be_told_is_neither(tmp_path: Path) -> None:
    case, made = saved("converter_error_int16x8")
    other = replace(made, evidence={"message": "quite another error"})
    assert run(reproducer(case, other, "t", "v"), tmp_path).returncode == 2
    script = reproducer(case, made, "t", "v").replace("    return converter.convert()", "    return no_such_name")
    assert run(script, tmp_path).returncode == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "planted"),
    [
        (Kind.HANG, "while True: pass"),
        (Kind.OUT_OF_MEMORY, "held = [np.ones(2**27) for _ in range(64)]"),
        (Kind.CRASH, "os.abort()"),
    ],
)
def test_a_planted_death_is_seen(kind: Kind, planted: str, tmp_path: Path) -> None:
    script = reproducer(image("relu"), replace(verdict(kind, Stage.INVOKE, "tf-builtin"), severity=2.0), "t", "v")
    assert script.count("interpreter.invoke()") == 1
    done = run(script.replace("interpreter.invoke()", planted), tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", sorted(ROUNDED))
def test_a_healthy_model_of_rounded_weights_is_no_defect(scheme: str, tmp_path: Path) -> None:
    """What a script says once a defect that was half of the largest value off is mended."""
    node = Node("dense", ("x0",), {k: d.default for k, d in registry()["dense"].attrs.items()})
    case = Case(Model((TensorType((4, 64), "float32"),), (node,), ("n0",)), Conversion(scheme=scheme).repaired())
    case = replace(case, inference=Inference(inputs=(Recipe("normal", 1),)))
    made = verdict(model_error=0.5, noise=ROUNDED[scheme], step=0.0)
    done = run(reproducer(case, made, "t", "v"), tmp_path)
    assert done.returncode == 0 and "Rounding accounts" in done.stdout, done.stdout + done.stderr[-2000:]
