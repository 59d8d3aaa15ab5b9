"""Fresh values: recipes, shapes, attributes, conversions. Every draw takes its random source."""

from __future__ import annotations

from random import Random

from fuzzer.case import DEFAULT_INPUTS, IO_DTYPES, Conversion, Inference, Recipe
from fuzzer.ops import Op, TensorType, Value, registry

MAX_SEED = 1 << 16

_SCHEME_WEIGHTS = {"float32": 42, "int8": 26, "dynamic": 12, "int16x8": 10, "float16": 10}
# A SavedModel costs 0.22 s, Keras 0.2 s, legacy Keras 0.7 s and a concrete function 0.045 s (measured), so
# the dear roads are drawn in proportion to what they may teach, not evenly.
_ENTRY_WEIGHTS = {"concrete_function": 972, "saved_model": 12, "keras": 12, "legacy_keras": 4}
_DTYPE_WEIGHTS = {"float32": 94, "int32": 3, "float16": 2, "int64": 1}
_CHANNELS = (1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 24, 32)


def choice(rng: Random, weights: dict[str, int]) -> str:
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
    if kind < 0.55:
        return Recipe("normal", seed, scale)
    if kind < 0.8:
        return Recipe("uniform", seed, scale)
    if kind < 0.86:
        return Recipe("normal", seed, scale, sparsity=rng.choice((0.5, 0.75, 0.95)))
    if kind < 0.9:
        return Recipe("uniform", seed, scale, clusters=rng.choice((2, 4, 16)))
    if kind < 0.95:
        return Recipe("constant", 0, rng.choice((0.0, 1.0, -1.0, 0.5)))
    return Recipe("boundary", seed)


def input_recipe(rng: Random, distribution: str | None = None) -> Recipe:
    """A recipe for a sample of the inputs."""
    distribution = distribution or rng.choice(("uniform", "normal", "boundary", "constant"))
    seed = rng.randrange(MAX_SEED)
    if distribution == "constant":
        return Recipe("constant", 0, rng.choice((0.0, 0.0, 1.0, -1.0, 0.5, 6.0)))
    scale = 1.0 if rng.random() < 0.5 else rng.choice((0.01, 0.5, 3.0, 8.0, 100.0))
    return Recipe(distribution, seed, scale, rng.choice((0.0, 0.0, 0.0, 1.0, -3.0)))


def inference(rng: Random) -> Inference:
    """Four samples, one of each distribution, on every runtime."""
    inputs: tuple[Recipe, ...] = DEFAULT_INPUTS
    if rng.random() < 0.5:
        inputs = tuple(input_recipe(rng, r.distribution) for r in DEFAULT_INPUTS)
    return Inference(inputs=inputs, threads=1 if rng.random() < 0.95 else rng.choice((2, 4)))


def shape(rng: Random, rank: int) -> tuple[int, ...]:
    """An input shape: small, odd and prime sizes included, each dim on its own."""
    batch = 1 if rng.random() < 0.75 else rng.randint(2, 4)
    if rank <= 1:
        return (rng.randint(1, 64),) * rank
    if rank == 2:
        return (batch if rng.random() < 0.7 else rng.randint(1, 9), rng.choice((*_CHANNELS, 33, 64, 100, 128)))
    if rank == 3:
        return (batch, rng.randint(1, 8), rng.choice(_CHANNELS))
    spatial = tuple(rng.randint(1, 20) for _ in range(rank - 2))
    return (batch, *spatial, rng.choice(_CHANNELS))


def tensor_type(rng: Random, rank: int) -> TensorType:
    """An input type."""
    return TensorType(shape(rng, rank), choice(rng, _DTYPE_WEIGHTS))


def conversion(rng: Random) -> Conversion:
    """A whole conversion."""
    scheme = choice(rng, _SCHEME_WEIGHTS)
    return Conversion(
        entry=choice(rng, _ENTRY_WEIGHTS),
        scheme=scheme,
        io=rng.choice(IO_DTYPES[scheme]),
        per_channel=rng.random() < 0.85,
        fallback=rng.random() < 0.7,
        op_set="builtins" if rng.random() < 0.97 else "select_tf",
        unfold_batch_matmul=rng.random() < 0.08,
    ).repaired()


def entry(rng: Random) -> str:
    """A road into the converter."""
    return choice(rng, _ENTRY_WEIGHTS)


def scheme(rng: Random) -> str:
    """A quantisation scheme."""
    return choice(rng, _SCHEME_WEIGHTS)


def op(rng: Random) -> Op:
    """An op, drawn by its weight."""
    ops = list(registry().values())
    return rng.choices(ops, [o.weight for o in ops])[0]
