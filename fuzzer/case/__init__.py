"""What a case is: a model, a conversion and an inference, as canonical JSON with an id."""

from fuzzer.case.case import DEAR_RELATIONS, RELATIONS, RUNTIMES, SCHEMA, Case, Inference, case_id
from fuzzer.case.codec import MAX_BYTES, decode, encode, pretty, to_json
from fuzzer.case.conversion import DYNAMIC, ENTRIES, IO_DTYPES, OP_SETS, REPRESENTATIVE, SCHEMES, Conversion, Switch
from fuzzer.case.model import MAX_NODES, Model, Node, TypedNode, check_budget, type_node
from fuzzer.case.recipe import DEFAULT_INPUTS, DISTRIBUTIONS, PRUNINGS, Recipe

__all__ = [
    "DEAR_RELATIONS",
    "DEFAULT_INPUTS",
    "DISTRIBUTIONS",
    "DYNAMIC",
    "ENTRIES",
    "IO_DTYPES",
    "MAX_BYTES",
    "MAX_NODES",
    "OP_SETS",
    "PRUNINGS",
    "RELATIONS",
    "REPRESENTATIVE",
    "RUNTIMES",
    "SCHEMA",
    "SCHEMES",
    "Case",
    "Conversion",
    "Inference",
    "Model",
    "Node",
    "Recipe",
    "Switch",
    "TypedNode",
    "case_id",
    "check_budget",
    "decode",
    "encode",
    "pretty",
    "to_json",
    "type_node",
]
