"""Makes a valid case of any draft, changing as little as it can.

Node by node: what fits is kept; where an op refuses, another operand, an adapting reshape or other attributes
are tried; what cannot be helped is dropped and its readers take its operand instead. So nearly every mutant
is a valid model, and none is thrown away.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from random import Random

from fuzzer.case import Case, Conversion, Model, Node, check_budget, type_node
from fuzzer.case.conversion import ENTRIES, KERAS_ENTRIES, TFMOT, V1_ENTRIES
from fuzzer.case.model import MAX_COST, MAX_INPUTS, MAX_TOTAL_BYTES, TypedNode, check_type
from fuzzer.errors import CaseError, GenerateAnother, UnfitError
from fuzzer.mutate import draw
from fuzzer.mutate.draft import Draft, DraftNode, Ref, frozen
from fuzzer.ops import Op, TensorType, Value, registry

MAX_GENERATED_NODES = 12
MAX_GENERATED_OUTPUTS = 4
_ATTEMPTS = 8


def repair(draft: Draft, rng: Random) -> Case:
    """The nearest valid case. Raises `GenerateAnother` when nothing is left of the draft."""
    return _Repair(draft, rng).case()


class _Repair:
    """One pass over a draft. `known` types every value made so far, `alias` says who stands in for whom."""

    def __init__(self, draft: Draft, rng: Random) -> None:
        self.draft = draft
        self.rng = rng
        self.known: dict[Ref, TensorType] = {}
        self.alias: dict[Ref, Ref] = {}
        self.nodes: list[DraftNode] = []
        self.typed: list[TypedNode] = []
        self.bytes_left = MAX_TOTAL_BYTES
        self.cost_left = MAX_COST
        self.roads = set(ENTRIES)
        self.next_key = draft.new_key()

    def case(self) -> Case:
        """Runs the pass."""
        for i, type_ in enumerate(self.draft.inputs[:MAX_INPUTS]):
            check_type(type_, f"inputs[{i}]")
            self.known[-1 - i] = type_
            self.bytes_left -= type_.bytes
        for node in self.draft.nodes:
            if len(self.nodes) < MAX_GENERATED_NODES:
                self._place(node)
            else:
                self._drop(node)
        if not self.nodes:
            raise GenerateAnother("no node is left")
        return self._finish()

    # --- one node ---------------------------------------------------------------------------------------

    def _place(self, node: DraftNode) -> None:
        node = node.copy()
        spec = registry()[node.op]
        self._resolve(node, spec)
        self._complete_attrs(node, spec)
        self._fit_first(node, spec)
        self._fit_others(node, spec)
        for attempt in range(_ATTEMPTS):
            if self._try(node):
                return
            self._alter(node, spec, attempt)
        self._drop(node)

    def _resolve(self, node: DraftNode, spec: Op) -> None:
        """Points every operand at an existing value and their number into the op's arity."""
        low, high = spec.arity
        operands = [self.alias.get(o, o) for o in node.operands]
        operands = [o if o in self.known else self._recent() for o in operands][:high]
        node.operands = operands or [self._recent()]
        node.operands += [node.operands[0]] * (low - len(node.operands))

    def _complete_attrs(self, node: DraftNode, spec: Op) -> None:
        fresh = draw.attrs(self.rng, spec)
        node.attrs = {
            key: node.attrs[key] if key in node.attrs and domain.check(node.attrs[key]) is None else fresh[key]
            for key, domain in spec.attrs.items()
        }

    def _fit_first(self, node: DraftNode, spec: Op) -> None:
        """Gives the op a first operand of a rank and dtype it takes, through a reshape, a cast or an input."""
        first = self.known[node.operands[0]]
        if first.rank in spec.ranks and self._takes(spec, first):
            return
        fitting = [r for r, t in self.known.items() if t.rank in spec.ranks and self._takes(spec, t)]
        if fitting and self.rng.random() < 0.7:
            node.operands[0] = fitting[-1] if self.rng.random() < 0.6 else self.rng.choice(fitting)
            return
        source: Ref | None = node.operands[0]
        if not self._takes(spec, first):
            usable = [r for r, t in self.known.items() if self._takes(spec, t)]
            source = usable[-1] if usable else self._provide(spec.dtypes, first.shape, spec)
            if source is None:
                return
            if self.known[source].rank in spec.ranks:
                node.operands[0] = source
                return
        rank = self.rng.choice([r for r in spec.ranks if r >= 2] or list(spec.ranks))
        attrs: dict[str, Value] = {"rank": rank, "split": self.rng.randint(0, 3)}
        assert source is not None
        adapter = DraftNode(self._key(), "reshape", [source], attrs)
        if rank and self._try(adapter):
            node.operands[0] = adapter.key

    @staticmethod
    def _takes(spec: Op, type_: TensorType) -> bool:
        """Whether a first operand of that dtype, and that empty, is taken."""
        return type_.dtype in spec.dtypes and (spec.empty or 0 not in type_.shape)

    def _fit_others(self, node: DraftNode, spec: Op) -> None:
        """Gives every further operand a dtype the op takes in its place."""
        for i in range(1, len(node.operands)):
            wanted = spec.dtypes_of(i, [self.known[o] for o in node.operands[:i]])
            if self.known[node.operands[i]].dtype not in wanted:
                found = self._like(node.operands[0], wanted, spec)
                node.operands[i] = node.operands[0] if found is None else found

    def _provide(self, dtypes: tuple[str, ...], shape: tuple[int, ...], spec: Op) -> Ref | None:
        """A new value of one of the dtypes: another input, or a cast of what is there."""
        dtype = draw.one_of(self.rng, dtypes)
        shape = shape if spec.empty else tuple(max(1, dim) for dim in shape)
        casts = registry()["cast"]
        sources = [r for r, t in self.known.items() if t.dtype in casts.dtypes]
        if dtype in casts.dtypes and sources and self.rng.random() < 0.4:
            like = [r for r in sources if self.known[r].shape == shape] or sources
            adapter = DraftNode(self._key(), "cast", [like[-1]], {"dtype": dtype})
            if self._try(adapter):
                return adapter.key
        if len(self.draft.inputs) >= MAX_INPUTS:
            return None
        self.draft.inputs.append(TensorType(shape, dtype))
        ref = -len(self.draft.inputs)
        self.known[ref] = self.draft.inputs[-1]
        self.bytes_left -= self.draft.inputs[-1].bytes
        return ref

    def _alter(self, node: DraftNode, spec: Op, attempt: int) -> None:
        """Changes what most likely offends: a second operand first, then one attribute, then all."""
        if len(node.operands) > 1 and attempt < _ATTEMPTS // 2:
            if attempt == _ATTEMPTS // 2 - 1 and spec.arity[0] == 1:
                node.operands = node.operands[:1]
            else:
                for i in range(1, len(node.operands)):
                    wanted = spec.dtypes_of(i, [self.known[o] for o in node.operands[:i]])
                    found = self._like(node.operands[0], wanted, spec)
                    node.operands[i] = node.operands[0] if found is None else found
            return
        if not spec.attrs or attempt == _ATTEMPTS - 2:
            node.attrs = {k: d.default for k, d in spec.attrs.items()}
            return
        for key in self.rng.sample(list(spec.attrs), 1 + attempt % len(spec.attrs)):
            domain = spec.attrs[key]
            node.attrs[key] = domain.default if self.rng.random() < 0.5 else domain.draw(self.rng)

    def _try(self, node: DraftNode) -> bool:
        """Adds the node when it fits, the budget allows and some road takes it beside the others."""
        roads = self.roads & set(registry()[node.op].entries or ENTRIES)
        if not roads:
            return False
        names = {ref: str(ref) for ref in node.operands}
        try:
            typed = type_node(frozen(node, names), "", {str(r): self.known[r] for r in node.operands})
            check_budget(typed, "")
        except (UnfitError, CaseError):
            return False
        size = typed.type.bytes + sum(slot.type.bytes for slot in typed.slots)
        if size > self.bytes_left or typed.cost > self.cost_left or len(self.nodes) >= MAX_GENERATED_NODES:
            return False
        self.bytes_left -= size
        self.cost_left -= typed.cost
        self.roads = roads
        node.weights = {s.name: node.weights.get(s.name) or draw.weight_recipe(self.rng) for s in typed.slots}
        self.known[node.key] = typed.type
        self.nodes.append(node)
        self.typed.append(typed)
        return True

    def _drop(self, node: DraftNode) -> None:
        """Lets the readers of a node read its first operand."""
        source = self.alias.get(node.operands[0], node.operands[0]) if node.operands else None
        self.alias[node.key] = source if source in self.known and source is not None else self._recent()

    # --- choosing values --------------------------------------------------------------------------------

    def _recent(self) -> Ref:
        refs = list(self.known)
        return refs[-1] if self.rng.random() < 0.7 else self.rng.choice(refs)

    def _like(self, ref: Ref, dtypes: tuple[str, ...], spec: Op) -> Ref | None:
        """A value of one of `dtypes` that probably broadcasts with `ref`: of the same rank, best of the same shape."""
        want = self.known[ref]
        typed = [r for r, t in self.known.items() if t.dtype in dtypes and (spec.empty or 0 not in t.shape)]
        if not typed:
            return self._provide(dtypes, want.shape, spec)
        same = [r for r in typed if self.known[r].shape == want.shape]
        near = [r for r in typed if self.known[r].rank == want.rank]
        return self.rng.choice(same if same and self.rng.random() < 0.6 else near or typed)

    def _key(self) -> int:
        self.next_key += 1
        return self.next_key - 1

    # --- the whole --------------------------------------------------------------------------------------

    def _finish(self) -> Case:
        outputs = self._outputs()
        self._drop_dead(outputs)
        used_inputs = sorted({-1 - o for o in [*outputs, *(o for n in self.nodes for o in n.operands)] if o < 0})
        if self.draft.spare:
            used_inputs = sorted(-1 - ref for ref in self.known if ref < 0)
        names: dict[Ref, str] = {-1 - old: f"x{new}" for new, old in enumerate(used_inputs)}
        names.update({node.key: f"n{i}" for i, node in enumerate(self.nodes)})
        nodes: list[Node] = [frozen(node, names) for node in self.nodes]
        model = Model(
            tuple(self.draft.inputs[i] for i in used_inputs),
            tuple(nodes),
            tuple(names[ref] for ref in outputs),
            tuple(dict.fromkeys(self.draft.patterns))[:6],
        )
        return Case(model, self._conversion(model), self.draft.inference)

    def _outputs(self) -> list[Ref]:
        """What was asked for and still exists, and every value nobody reads."""
        read = {o for node in self.nodes for o in node.operands}
        sinks = [node.key for node in self.nodes if node.key not in read]
        asked = [self.alias.get(o, o) for o in self.draft.outputs]
        if self.draft.odd:
            outputs = [o for o in asked if o in self.known]
            outputs += [o for o in sinks if o not in outputs]
        else:
            made = {node.key for node in self.nodes}
            outputs = list(dict.fromkeys([*(o for o in asked if o in made), *sinks]))
        # The last sinks win when there are too many.
        return outputs[-MAX_GENERATED_OUTPUTS:]

    def _drop_dead(self, outputs: list[Ref]) -> None:
        """Takes out what no output needs: it would be converted away, and not come back from a second repair."""
        needed = set(outputs)
        for node in reversed(self.nodes):
            if node.key in needed:
                needed.update(node.operands)
        self.nodes = [node for node in self.nodes if node.key in needed]

    def _conversion(self, model: Model) -> Conversion:
        """A road that takes these ops and inputs, with the switches they need."""
        conversion = self.draft.conversion.repaired()
        specs = [node.spec for node in model.nodes]
        odd = any(t.dtype != "float32" for t in model.inputs) or self.draft.odd or self.draft.spare
        # Keras feeds and returns floats, and counts inputs and outputs in its own way.
        if conversion.entry in KERAS_ENTRIES and odd:
            conversion = conversion.over("concrete_function")
        if conversion.entry in V1_ENTRIES and self.draft.spare:
            conversion = conversion.over(
                "concrete_function"
            )  # the v1 converter prunes the graph, then misses the input
        if conversion.scheme in TFMOT and not any(_layer_with_weights(typed) for typed in model.typed):
            # Nothing of it would be pruned, clustered or trained.
            conversion = replace(conversion, scheme=conversion.judged).repaired()
        roads = [e for e in ENTRIES if all(not s.entries or e in s.entries for s in specs)]
        roads = [e for e in roads if not (odd and e in KERAS_ENTRIES)] or roads
        if conversion.entry not in roads:
            conversion = conversion.over(self.rng.choice(roads))
        needed = {name: value for s in specs for name, value in s.switches.items()}
        if needed and zlib.crc32(repr(model.nodes).encode()) % 10:
            # Without them such an op is refused, which is worth a look in one case of ten.
            conversion = replace(conversion, switches={**needed, **conversion.switches}).repaired()
        if len(model.inputs) > 1 and conversion.io == "int8" and conversion.scheme in ("qat", *TFMOT):
            # The inputs of such a flatbuffer are named after fake quantisation: nobody could tell them apart.
            conversion = replace(conversion, io="uint8")
        if conversion.dynamic != "none" and any(s.static or s.recurrent for s in specs):
            conversion = replace(conversion, dynamic="none")
        return conversion


def _layer_with_weights(typed: TypedNode) -> bool:
    """Whether tensorflow-model-optimization would have something to do with a node."""
    return typed.node.spec.keras is not None and bool(typed.node.spec.keras_weights) and typed.type.dtype == "float32"
