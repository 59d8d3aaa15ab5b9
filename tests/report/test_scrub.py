"""What tells of this machine is taken out, and nothing else."""

from __future__ import annotations

import pytest

from fuzzer.report import scrub as module
from fuzzer.report.scrub import scrub


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "/srv/env/lib/python3.11/site-packages/tensorflow/python/eager/t.py:283:1: error",
            "tensorflow/python/eager/t.py:283:1: error",
        ),
        ("/usr/lib/python3.11/subprocess.py: died", "subprocess.py: died"),
        ('File "/data/someone/fuzzer/target.py", line 3', 'File "target.py", line 3'),
        ("cannot open file:///mnt/disk/m.tflite.", "cannot open m.tflite."),
        ("/home/jane/x.py /home/jane and /Users/Jane Doe/my models/m.tflite", "x.py ~ and my models/m.tflite"),
        (r"C:\Users\jane\m.tflite", "m.tflite"),
        ("~jane/models/m.tflite ~/m.tflite", "models/m.tflite m.tflite"),
        # what only looks like a path
        ("tensorflow/lite/kernels/add.cc:107 a != b", "tensorflow/lite/kernels/add.cc:107 a != b"),
        ("see https://www.tensorflow.org/api_docs/python", "see https://www.tensorflow.org/api_docs/python"),
        ("/job:localhost/replica:0/task:0/device:CPU:0", "/job:localhost/replica:0/task:0/device:CPU:0"),
        ("model/conv/kernel;model/add/y and/or 3 / 4 / 5", "model/conv/kernel;model/add/y and/or 3 / 4 / 5"),
        ("tensor<1x2xf32> -> tensor</a>", "tensor<1x2xf32> -> tensor</a>"),
    ],
)
def test_paths(text: str, wanted: str) -> None:
    assert scrub(text) == wanted


def test_names_of_user_and_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "janedoe")
    monkeypatch.setattr("socket.gethostname", lambda: "box17.lab.example")
    module._names.cache_clear()
    try:
        assert scrub("janedoe@box17.lab.example box17 janedoes") == "<name>@<name> <name> janedoes"
        monkeypatch.setattr("getpass.getuser", lambda: "root")
        monkeypatch.setattr("socket.gethostname", lambda: "db")
        module._names.cache_clear()
        assert scrub("the root of db") == "the root of db", "common and short names are words"
    finally:
        module._names.cache_clear()


def test_it_ends_on_long_lines_of_slashes() -> None:
    assert scrub("/a" * 20_000 + " " + "/" * 20_000).startswith("a ")
    assert "/home/jane" not in scrub("/home/jane" * 5_000)
