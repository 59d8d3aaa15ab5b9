"""Fresh values: recipes, shapes, attributes, conversions. Every draw takes its random source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from fuzzer.case import DEAR_RELATIONS, DEFAULT_INPUTS, Case, Conversion, Inference, Recipe, Switch
from fuzzer.case.conversion import QAT_BITS
from fuzzer.ops import Op, TensorType, Value, registry

MAX_SEED = 1 << 16

_SCHEME_WEIGHTS = {
    "float32": 398,
    "int8": 245,
    "dynamic": 115,
    "int16x8": 97,
    "float16": 97,
    "qat": 36,
    "uint8_v1": 6,
    "int8_v1": 6,
}
_OPTIONAL_WEIGHT = 0.25
"""Of a scheme that needs an optional package: one to three seconds a case (measured), so one in 4,000 each."""
# A SavedModel costs 0.25 s, Keras 0.2 to 0.3 s, legacy Keras 0.7 s, the others 0.045 s (measured), so the dear roads
# are drawn in proportion to what they may teach, not evenly.
_ENTRY_WEIGHTS = {
    "concrete_function": 914,
    "frozen_graph": 28,
    "session": 28,
    "concrete_function_variables": 7,
    "saved_model": 7,
    "saved_model_signatures": 4,
    "keras": 6,
    "keras_export": 3,
    "legacy_keras": 3,
}
_REPRESENTATIVE_WEIGHTS = {"samples": 86, "narrow": 4, "wide": 4, "constant": 2, "one": 2, "absent": 2}
_DYNAMIC_WEIGHTS = {"none": 94, "batch": 3, "spatial": 2, "all": 1}
SWITCH_SHARE = 0.12
"""Share of fresh conversions that set a switch or more."""
CHEAP_RELATION = 0.15
"""Share of cases that try a metamorphic relation on their flatbuffer: 1 to 14 ms each (measured)."""
DEAR_RELATION = 0.02
"""Share of those that convert once more, for it: 50 to 100 ms each (measured), as much as the case itself and more."""
_DTYPE_WEIGHTS = {"float32": 94, "int32": 3, "float16": 2, "int64": 1}
_RANGES = (1.0, 6.0, 16.0, 100.0)
_CHANNELS = (1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 24, 32)
_MANY_CHANNELS = (33, 48, 63, 64, 67, 96, 127, 128)
"""Powers of two and their neighbours, primes. The converter quantises weights of 1,024 elements and more only
(`minimum_elements_for_weights` of quantize_weights), which so many channels give with few filters."""
_RANKS = {0: 1, 1: 4, 2: 8, 3: 6, 4: 10, 5: 3, 6: 1}
_LONGEST = {3: 9, 4: 20, 5: 9, 6: 4}
"""By rank, the longest inner dimension: a tensor stays at about the same number of elements."""
_EMPTY_SHARE = 0.05
"""Of the shapes for ops that take tensors without elements; they are a part of the ops, so one shape in about 200."""
_HALF_WEIGHT = 0.3
"""Few kernels of TFLite take float16 values; most cases with them end in a refusal."""

_WILD_INPUT = 0.125
_WILD_INPUTS = {
    "specials": 28,
    "extremes": 12,
    "huge": 10,
    "channels": 9,
    "denormal": 9,
    "ties": 14,
    "onehot": 9,
    "zeros": 9,
}
"""Of a hundred unusual samples. NaN and infinities: 28 % of 1/8 of the cases, one in 29 (with those of weights, one
in 25); beyond the usual magnitudes: 40 % of 1/8, one in 20 (with weights, one in 12). All others stay judgeable."""
_WILD_WEIGHTS = {"channels": 30, "denormal": 15, "huge": 12, "extremes": 12, "specials": 8, "ties": 12, "onehot": 11}
_SPOILT = 0.8
"""Share of the samples with NaN and infinities that integer schemes are spared: calibrating on them aborts the
converter of 2.21, always in the same way."""
WILD = frozenset({*_WILD_INPUTS, *_WILD_WEIGHTS})
"""Distributions that a lineage loses again: children would collect them."""
_OFFSETS = (-1.0, -2.0, -0.999999, -1.001, -0.5, 1e-4)
"""Against the 1 that is added to gammas and variances: zero, minus one, tiny, tiny and negative."""


def choice(rng: Random, weights: Mapping[str, float]) -> str:
    """A key, drawn by its weight."""
    return rng.choices(list(weights), list(weights.values()))[0]


def attrs(rng: Random, op: Op) -> dict[str, Value]:
    """All attributes of an op. Three in ten stay plain, so that a case is not exotic everywhere."""
    return {k: d.default if rng.random() < 0.3 else d.draw(rng) for k, d in op.attrs.items()}


def weight_recipe(rng: Random) -> Recipe:
    """A recipe for a weight: mostly well scaled, sometimes pruned, clustered, constant or extreme."""
    seed = rng.randrange(MAX_SEED)
    kind = rng.random()
    scale = 1.0 if rng.random() < 0.6 else rng.choice((0.01, 0.1, 0.5, 2.0, 4.0, 16.0))
    if kind < 0.5:
        return Recipe("normal", seed, scale)
    if kind < 0.72:
        return Recipe("uniform", seed, scale)
    if kind < 0.8:
        return pruned(rng, Recipe("normal", seed, scale))
    if kind < 0.85:
        made = Recipe(rng.choice(("uniform", "normal")), seed, scale, clusters=rng.choice((2, 4, 16, 32, 256)))
        # Both together is what PCQAT of the model optimisation toolkit leaves.
        return pruned(rng, made) if rng.random() < 0.2 else made
    if kind < 0.9:
        return Recipe("constant", 0, rng.choice((0.0, 1.0, -1.0, 0.5)))
    if kind < 0.93:
        return Recipe(rng.choice(("constant", "normal")), seed, rng.choice((0.0, 1e-6, 0.1)), rng.choice(_OFFSETS))
    if kind < 0.97:
        return Recipe("boundary", seed)
    if kind < 0.98:
        return Recipe("zeros", seed)
    return Recipe(choice(rng, _WILD_WEIGHTS), seed)


def pruned(rng: Random, recipe: Recipe) -> Recipe:
    """A recipe with zeros: anywhere, in blocks, or two of every four."""
    pattern = rng.choice(("random", "block", "two_four"))
    share = 0.5 if pattern == "two_four" else rng.choice((0.5, 0.75, 0.9, 0.95))
    return replace(recipe, sparsity=share, pattern=pattern)


def input_recipe(rng: Random, distribution: str | None = None) -> Recipe:
    """A recipe for a sample of the inputs."""
    distribution = distribution or rng.choice(("uniform", "normal", "boundary", "constant"))
    seed = rng.randrange(MAX_SEED)
    if distribution == "constant":
        return Recipe("constant", 0, rng.choice((0.0, 0.0, 1.0, -1.0, 0.5, 6.0)))
    if distribution in WILD:
        return Recipe(distribution, seed)
    scale = 1.0 if rng.random() < 0.5 else rng.choice((0.01, 0.5, 3.0, 8.0, 100.0))
    return Recipe(distribution, seed, scale, rng.choice((0.0, 0.0, 0.0, 1.0, -3.0)))


def wild_input(rng: Random, integer: bool = False) -> Recipe:
    """A recipe for a sample of unusual numbers. `integer`: it calibrates, which NaN and infinities only spoil."""
    drawn = choice(rng, _WILD_INPUTS)
    if integer and drawn == "specials" and rng.random() < _SPOILT:
        drawn = rng.choice(("ties", "onehot", "zeros"))
    return input_recipe(rng, drawn)


def inference(rng: Random, integer: bool = False) -> Inference:
    """Four samples, one of each distribution, on every runtime; rarely one of them is of unusual numbers."""
    inputs: tuple[Recipe, ...] = DEFAULT_INPUTS
    if rng.random() < 0.5:
        inputs = tuple(input_recipe(rng, r.distribution) for r in DEFAULT_INPUTS)
    if rng.random() < _WILD_INPUT:
        at = rng.randrange(len(inputs))
        inputs = (*inputs[:at], wild_input(rng, integer), *inputs[at + 1 :])
    return Inference(inputs=inputs, threads=1 if rng.random() < 0.95 else rng.choice((2, 4)))


def related(rng: Random, case: Case) -> Case:
    """The case with a relation drawn anew, mostly none: one that its parent had would cost every offspring."""
    return replace(case, inference=replace(case.inference, relation=relation(rng, case)))


def relation(rng: Random, case: Case) -> str:
    """A metamorphic relation that may hold for a case; most cases have none."""
    kind = rng.random()
    if kind >= CHEAP_RELATION + DEAR_RELATION:
        return "none"
    model, conversion = case.model, case.conversion
    if kind >= CHEAP_RELATION:
        fusible = len(model.nodes) > 1 and conversion.judged == "float32"
        return rng.choice(DEAR_RELATIONS) if fusible else DEAR_RELATIONS[0]
    names = ["second_invoke", "kept_inputs", "reallocate", "preserve_all", "preserve_all", "threads", "round_trip"]
    names += ["node_order"] if len(model.nodes) > 1 else []
    names += ["resize_back"] * 2 if conversion.resized else []
    firsts = {t.shape[0] if t.shape else 0 for t in (*model.inputs, *model.output_types)}
    if len(firsts) == 1 and min(firsts) > 1:
        names += ["batch_rows"] * 2 + (["batch_split"] * 2 if conversion.resized else [])
    return rng.choice(names)


def rank(rng: Random, ranks: Sequence[int]) -> int:
    """One of the ranks an op takes, images and matrices first."""
    return rng.choices(list(ranks), [_RANKS[r] for r in ranks])[0]


def shape(rng: Random, rank: int, empty: bool = False) -> tuple[int, ...]:
    """An input shape: small, odd and prime sizes included, each dim on its own; with `empty` rarely a dim of 0."""
    made = _full_shape(rng, rank)
    if empty and rank and rng.random() < _EMPTY_SHARE:
        at = rng.randrange(rank)
        return (*made[:at], 0, *made[at + 1 :])
    return made


def _full_shape(rng: Random, rank: int) -> tuple[int, ...]:
    batch = 1 if rng.random() < 0.7 else rng.randint(2, 4)
    if rank <= 1:
        return (rng.randint(1, 64) if rng.random() < 0.9 else rng.choice((127, 128, 255, 257, 1000, 1024)),) * rank
    if rank == 2:
        rows = batch if rng.random() < 0.7 else rng.randint(1, 9)
        return (rows, rng.choice((*_CHANNELS, 33, 64, 100, 128, 257) if rng.random() < 0.9 else (509, 512, 1024)))
    many = rng.random() < 0.25
    channels = rng.choice(_MANY_CHANNELS if many else _CHANNELS)
    longest = max(2, _LONGEST[rank] // 3) if many else _LONGEST[rank]
    return (batch, *(rng.randint(1, longest) for _ in range(rank - 2)), channels)


def one_of(rng: Random, dtypes: Sequence[str]) -> str:
    """A dtype of an op's list, which is ordered by how usual they are: the first ones mostly."""
    weights = [(_HALF_WEIGHT if d == "float16" and i else 1.0) / (i + 1) ** 2 for i, d in enumerate(dtypes)]
    return rng.choices(list(dtypes), weights)[0]


def dtype(rng: Random, op: Op) -> str:
    """A dtype that the op takes as its first operand."""
    return one_of(rng, op.dtypes)


def tensor_type(rng: Random, rank: int, op: Op | None = None) -> TensorType:
    """An input type, of a dtype for `op` where one is given."""
    if op is None:
        return TensorType(shape(rng, rank), choice(rng, _DTYPE_WEIGHTS))
    return TensorType(shape(rng, rank, op.empty), dtype(rng, op))


# --- conversions ------------------------------------------------------------------------------------------


@dataclass
class Offer:
    """What the installed packages add to what every release has: a driver asks its executor once."""

    switches: dict[str, tuple[Switch, ...]] = field(default_factory=dict)
    schemes: tuple[str, ...] = ()


_OFFER = Offer()


def take_offer(switches: Mapping[str, Sequence[Switch]], schemes: Sequence[str]) -> None:
    """From now on these switches and optional schemes are drawn too. The same offer and seed give the same cases."""
    _OFFER.switches = {name: tuple(switches[name]) for name in sorted(switches)}
    _OFFER.schemes = tuple(sorted(schemes))


def conversion(rng: Random) -> Conversion:
    """A whole conversion."""
    drawn = Conversion(
        entry=entry(rng),
        per_channel=rng.random() < 0.85,
        fallback=rng.random() < 0.85,
        op_set="builtins" if rng.random() < 0.97 else "select_tf",
        unfold_batch_matmul=rng.random() < 0.08,
        dynamic=choice(rng, _DYNAMIC_WEIGHTS),
        switches=switches(rng) if rng.random() < SWITCH_SHARE else {},
    )
    return with_scheme(rng, drawn, scheme(rng))


def with_scheme(rng: Random, old: Conversion, name: str) -> Conversion:
    """The conversion under a scheme, with everything drawn that belongs to one; it may change the road."""
    moved = replace(
        old,
        scheme=name,
        representative=choice(rng, _REPRESENTATIVE_WEIGHTS),
        qat_bits=8 if rng.random() < 0.6 else rng.choice(QAT_BITS),
        qat_symmetric=rng.random() < 0.8,
        qat_dense=rng.random() < 0.1,
        ranges=6.0 if rng.random() < 0.5 else rng.choice(_RANGES),
    )
    moved = replace(moved, optimizations=optimizations(rng, moved))
    moved = replace(moved, io=rng.choice(moved.allowed_io()))
    allowed = moved.allowed_entries()
    if moved.entry not in allowed:
        moved = replace(moved, entry=allowed[0] if rng.random() < 0.6 else rng.choice(allowed))
    return moved.repaired()


def optimizations(rng: Random, given: Conversion) -> str:
    """What the scheme allows, the usual one in 19 of 20."""
    allowed = given.allowed_optimizations()
    return allowed[0] if rng.random() < 0.95 else rng.choice(allowed)


def switches(rng: Random) -> dict[str, Switch]:
    """One switch of the installed converter, sometimes two or three."""
    names = list(_OFFER.switches)
    chosen = rng.sample(names, min(len(names), rng.choice((1, 1, 1, 2, 3))))
    return {name: rng.choice(_OFFER.switches[name]) for name in sorted(chosen)}


def entry(rng: Random) -> str:
    """A road into the converter."""
    return choice(rng, _ENTRY_WEIGHTS)


def scheme(rng: Random) -> str:
    """A quantisation scheme."""
    weights = {**_SCHEME_WEIGHTS, **dict.fromkeys(_OFFER.schemes, _OPTIONAL_WEIGHT)}
    return choice(rng, weights)


def representative(rng: Random) -> str:
    """Calibration data."""
    return choice(rng, _REPRESENTATIVE_WEIGHTS)


def dynamic(rng: Random) -> str:
    """Axes the converter does not know."""
    return rng.choice(("batch", "batch", "spatial", "all"))


def ranges(rng: Random) -> float:
    """The range of activations where nothing is calibrated."""
    return rng.choice(_RANGES)


def op(rng: Random) -> Op:
    """An op, drawn by its weight."""
    ops = list(registry().values())
    return rng.choices(ops, [o.weight for o in ops])[0]
