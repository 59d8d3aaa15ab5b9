"""What an executor with TensorFlow gives, as digests; runs inside executors (see tests/execute/real.py)."""

from __future__ import annotations

import hashlib
from typing import Any

from fuzzer.case.codec import from_json
from fuzzer.coverage import tripwire
from fuzzer.execute.stage import StageCell
from fuzzer.execute.target import execute


def digests(request: dict[str, Any], stage: StageCell) -> dict[str, Any]:
    """The flatbuffer, TensorFlow's outputs and every runtime's, to the last bit; whether SIGTRAP is the tripwire's."""
    record = execute(from_json(request["case"]), stage)
    given = {"flatbuffer": hashlib.sha256(record.content).hexdigest() if record.content else ""}
    for name, samples in {"tensorflow": record.reference, **{k: r.samples for k, r in record.runs.items()}}.items():
        digest = hashlib.sha256()
        for output in (output for sample in samples for output in sample):
            shape = f"{output.dtype} {output.shape} ".encode()
            digest.update(shape + (repr(output.tolist()).encode() if output.dtype == object else output.tobytes()))
        given[name] = digest.hexdigest()
    failures = [record.build_failure, record.convert_failure]
    failures += [f for run in record.runs.values() for f in (run.allocate_failure, run.invoke_failure)]
    given["failures"] = " ".join(failure.error for failure in failures if failure is not None)
    return {"given": given, "holds": tripwire.holds()}
