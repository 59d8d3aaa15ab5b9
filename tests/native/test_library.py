"""The library is compiled once, whoever comes first, and never loaded when it is out of date."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fuzzer.native.build import FLAGS, FOLDER, SOURCES, NoLibrary, compile_library, compilers, file_name

ROOT = Path(__file__).parents[2]
SHOW = "from fuzzer import native; print(native.problem() or native.library_path())"


def copy_of_the_package(folder: Path) -> Path:
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "fuzzer", folder / "fuzzer", ignore=ignored)
    shutil.copy(ROOT / "setup.py", folder)  # without `pyproject.toml`, which an older setuptools here does not read
    return folder


def shown(package: Path, cache: Path, **environment: str) -> str:
    return finished(show(package, cache, **environment))


def show(package: Path, cache: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SHOW],
        stdout=subprocess.PIPE,
        text=True,
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package), "XDG_CACHE_HOME": str(cache), **environment},
    )


def finished(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out.strip()


def test_the_first_use_compiles_into_the_cache(tmp_path: Path) -> None:
    package, cache = copy_of_the_package(tmp_path / "package"), tmp_path / "cache"
    expected = cache / "tflite-fuzzer" / file_name()
    assert shown(package, cache) == str(expected)
    made = expected.stat().st_mtime_ns
    assert shown(package, cache, PATH="/nowhere", CC="") == str(expected), "no compiler is needed any more"
    assert expected.stat().st_mtime_ns == made and [p.name for p in expected.parent.iterdir()] == [expected.name]


def test_two_first_uses_at_once(tmp_path: Path) -> None:
    package, cache = copy_of_the_package(tmp_path / "package"), tmp_path / "cache"
    running = [show(package, cache) for _ in range(4)]
    expected = cache / "tflite-fuzzer" / file_name()
    assert {finished(process) for process in running} == {str(expected)}
    assert [p.name for p in expected.parent.iterdir()] == [expected.name]


def test_a_source_that_changed_has_another_library(tmp_path: Path) -> None:
    for source in SOURCES:
        shutil.copy(FOLDER / source, tmp_path)
    assert file_name(folder=tmp_path) == file_name()
    with (tmp_path / SOURCES[0]).open("a") as source_file:
        source_file.write("/* changed */\n")
    assert file_name(folder=tmp_path) != file_name()


def test_installing_compiles_beside_the_sources(tmp_path: Path) -> None:
    """What `pip install` and `pip install -e` run; a wheel and a working copy then need no cache."""
    package, cache = copy_of_the_package(tmp_path / "package"), tmp_path / "cache"
    for place in (["--inplace"], ["--build-lib", "built"]):
        done = subprocess.run(
            [sys.executable, "setup.py", "-q", "build_ext", *place], cwd=package, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    installed = package / "fuzzer" / "native" / file_name()
    assert shown(package, cache) == str(installed) and not cache.exists()
    assert (package / "built" / "fuzzer" / "native" / file_name()).is_file()


def test_installing_without_a_compiler_succeeds(tmp_path: Path) -> None:
    package = copy_of_the_package(tmp_path / "package")
    done = subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--inplace"],
        cwd=package,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": str(tmp_path), "CC": "/bin/false"},
    )
    assert done.returncode == 0, done.stderr
    if "-m" not in [word for command in compilers() for word in command]:  # the zig wheel would have done it
        assert not list(package.rglob("*.so")) and "fuzzer.native" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"PATH": "/nowhere", "CC": ""}, "there is no C compiler"),
        ({"PATH": "/nowhere", "CC": "/bin/false"}, "the C compiler failed: exit 1"),
        ({"XDG_CACHE_HOME": "/proc/nowhere"}, "/proc/nowhere/tflite-fuzzer cannot be written"),
    ],
)
def test_what_is_missing_is_one_line(tmp_path: Path, environment: dict[str, str], words: str) -> None:
    if len(environment) == 2 and any("ziglang" in command for command in compilers()):
        pytest.skip("the zig wheel is installed, so there is a compiler")
    said = shown(copy_of_the_package(tmp_path / "package"), tmp_path / "cache", **environment)
    assert words in said and "titled by their log alone" in said and "\n" not in said


def test_a_source_that_does_not_compile_says_why(tmp_path: Path) -> None:
    (tmp_path / "broken.c").write_text("int f(void) { return nothing_here; }\n")
    with pytest.raises(NoLibrary, match="nothing_here"):
        compile_library(tmp_path / "broken.so", ("broken.c",), tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"broken.c"}


def test_the_sources_have_no_warnings(tmp_path: Path) -> None:
    (compiler, *_) = compilers()
    for source in SOURCES:
        command = [*compiler, *FLAGS, "-Wpedantic", "-Werror", "-o", str(tmp_path / "x.so"), str(FOLDER / source)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_python_and_c_agree_on_the_area() -> None:
    from fuzzer.native import library, trace

    assert library().stack_area_bytes() == trace.AREA_BYTES
    assert ctypes.sizeof(ctypes.c_void_p) == 8
