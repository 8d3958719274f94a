"""How another program's checkpoint names, cuts and turns the weights of a network: `weights hf of BERT:`.

A map is a list of rules, both ways at once. For a network each rule becomes moves: which tensors there are which ones
here, and their shapes on both sides. The first rule that names a weight is the one; a weight that none names has the
same key there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, cast, get_args

from ogive.dsl import syntax as s
from ogive.dsl.built import Built
from ogive.dsl.diagnostics import ArchError, Diagnostic, Label, fail, nearest, offer
from ogive.dsl.graph import Parameter
from ogive.dsl.key_patterns import KeyPattern, pattern_of
from ogive.dsl.load import Definition, Unit
from ogive.dsl.meter import exhausted, spend

__all__ = ["Move", "Rule", "WeightMap", "check_maps", "map_of", "maps_of", "moves_of", "read_map"]

Word: TypeAlias = Literal["rename", "fuse", "split", "transpose", "slice", "tie", "skip"]
WORDS: Final[tuple[str, ...]] = get_args(Word)

SHAPES: Final[dict[str, tuple[str, str]]] = {
    "rename": ("one", "one"), "fuse": ("several", "one"), "split": ("one", "several"), "transpose": ("one", "one"),
    "slice": ("one", "one"), "tie": ("one", "one"), "skip": ("some", "no"),
}
"""How many keys stand left and right of the arrow."""

SETTINGS: Final[dict[str, tuple[str, ...]]] = {
    "fuse": ("axis",), "split": ("axis",), "slice": ("start", "stop", "axis", "fill"),
}
FORMS: Final[dict[str, str]] = {
    "rename": 'rename "there" -> "here"', "fuse": 'fuse ["q", "k", "v"] -> "qkv"',
    "split": 'split "qkv" -> ["q", "k", "v"]',
    "transpose": 'transpose "there.weight" -> "here.weight"', "slice": 'slice(2) "there.weight" -> "here.weight"',
    "tie": 'tie "there" -> "here"', "skip": 'skip "there"',
}


@dataclass(frozen=True)
class Rule:
    """One line of a map. `axis` is where `fuse`, `split` and `slice` work; `fill` stands, on the way back, where a
    slice has left something out."""

    word: Word
    theirs: tuple[KeyPattern, ...]
    ours: tuple[KeyPattern, ...]
    node: s.KeyRule = field(compare=False, repr=False)
    axis: int = 0
    start: int = 0
    stop: int | None = None
    fill: float | None = None


@dataclass(frozen=True)
class Move:
    """What one rule does to some weights of a network: which keys there are which keys here, and all shapes.

    For `fuse`, `ours` is the one whole; for `split`, `theirs` is. `rule` is None where the key is the same.
    """

    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    there: tuple[tuple[int, ...], ...]
    here: tuple[tuple[int, ...], ...]
    rule: Rule | None = None

    @property
    def word(self) -> str:
        return self.rule.word if self.rule else "rename"


@dataclass(frozen=True, eq=False)
class WeightMap:
    """A map as it is for one network: every weight in exactly one move.

    `second` are keys there that are second names: of the key here that has the numbers. `skipped` are keys there that
    hold no weights of the network.
    """

    name: str
    network: str
    moves: tuple[Move, ...]
    second: Mapping[str, str]
    skips: tuple[KeyPattern, ...]

    def skipped(self, key: str) -> bool:
        """Whether a key there is one that the map says holds no weight."""
        return any(pattern.match(key) for pattern in self.skips)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The checkpoint's keys and their shapes, second names left out."""
        return {key: shape for move in self.moves for key, shape in zip(move.theirs, move.there, strict=True)}


def maps_of(definition: Definition) -> dict[str, s.Weights]:
    """The maps of a network by name: those of its file that name it, then those of the network it derives from."""
    found: dict[str, s.Weights] = {}
    seen: set[str] = set()
    at: Definition | None = definition
    while at is not None and at.name not in seen:
        seen.add(at.name)
        for node in at.unit.file.weights:
            if any(network.name == at.node.name for network in node.networks):
                found.setdefault(node.name, node)
        at = at.unit.names.get(_base(at.node.value)) if isinstance(at.node, s.Derived) else None
    return found


def _base(value: s.Expr) -> str:
    while isinstance(value, s.Call | s.Attr):
        value = value.func if isinstance(value, s.Call) else value.base
    return value.name if isinstance(value, s.Name) else ""


# ---------------------------------------------------------------------------------------------- reading
def read_map(node: s.Weights) -> tuple[Rule, ...]:
    """The rules of a map.

    Raises:
        ArchError: A150 for every rule that is none.
    """
    rules: list[Rule] = []
    wrong: list[Diagnostic] = []
    for line in node.rules:
        try:
            rules.append(_rule(line))
        except ArchError as error:
            wrong += error.diagnostics
    if wrong:
        raise ArchError(tuple(wrong))
    return tuple(rules)


def _rule(line: s.KeyRule) -> Rule:
    if line.word not in WORDS:
        raise fail("A150", f"`{line.word}` is no rule of `weights`", line.word_span,
                   help=offer(line.word, WORDS, "there are"))
    word = cast(Word, line.word)
    for count, wanted in zip((len(line.theirs), len(line.ours)), SHAPES[word], strict=True):
        fits = {"one": count == 1, "several": count > 1, "some": count > 0, "no": count == 0}[wanted]
        if not fits:
            left, right = SHAPES[word]
            side = f"{left} key{'' if left == 'one' else 's'} there and {right} here"
            raise fail("A150", f"`{word}` takes {side}", line.span, help=f"as in `{FORMS[word]}`")
    theirs, ours = (tuple(pattern_of(str(c.value), c.span) for c in side) for side in (line.theirs, line.ours))
    _letters(word, theirs, ours)
    return Rule(word, theirs, ours, line, **_settings(line))  # type: ignore[arg-type]


def _letters(word: Word, theirs: tuple[KeyPattern, ...], ours: tuple[KeyPattern, ...]) -> None:
    """Every key of a rule has the same letters: else one side does not tell what the other is."""
    if word == "skip":
        return
    every = [*theirs, *ours]
    for pattern in every:
        for other in every:
            for letter in sorted(other.letters - pattern.letters):
                raise fail("A150", f"`{{{letter}}}` stands in one key of this rule and not in the other", pattern.span,
                           labels=[Label(other.span, f"has `{{{letter}}}`")],
                           help="each key of a rule has the same letters, so that the rule goes both ways")


def _settings(line: s.KeyRule) -> dict[str, object]:
    names = SETTINGS.get(line.word, ())
    found: dict[str, object] = {}
    for i, arg in enumerate(line.args):
        name = arg.name or (names[i] if i < len(names) else "")
        if name not in names or name in found:
            what = "takes no settings" if not names else f"takes {', '.join(names)}, each once"
            raise fail("A150", f"`{line.word}` {what}", arg.span)
        value = arg.value.value if isinstance(arg.value, s.Constant) else "?"
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if not (whole or (name == "fill" and isinstance(value, float)) or (name == "stop" and value is None)):
            raise fail("A150", f"`{name}` is a {'number' if name == 'fill' else 'whole number from 0 on'}",
                       arg.value.span, help=f"as in `{name}=0`")
        found[name] = float(cast(int, value)) if name == "fill" else value
    stop, start = found.get("stop"), found.get("start", 0)
    if isinstance(stop, int) and isinstance(start, int) and stop <= start:
        raise fail("A150", f"nothing lies between {start} and {stop}", line.span, help="`stop` is behind `start`")
    return found


# ---------------------------------------------------------------------------------------------- for a network
def moves_of(
    node: s.Weights, rules: tuple[Rule, ...], network: str, parameters: Mapping[str, Parameter],
    used: set[int] | None = None,
) -> WeightMap:
    """The map for a network with these weights. The places of rules that name one of them are added to `used`.

    Raises:
        ArchError: A151 a rule that cannot do with a weight what it says; A152 two weights under one key there.
    """
    shapes = {key: parameter.weight.shape for key, parameter in parameters.items()}
    moves: list[Move] = []
    done: set[str] = set()
    used = set() if used is None else used
    renaming = [(i, rule) for i, rule in enumerate(rules) if rule.word not in ("tie", "skip")]
    for key in shapes:
        if key in done:
            continue
        move = next((m for m in _tried(renaming, key, shapes, used, done) if m), None)
        moves.append(move or Move((key,), (key,), (shapes[key],), (shapes[key],)))
        done.update(moves[-1].ours)
    _apart(moves, node, network)
    second: dict[str, str] = {}
    for i, rule in enumerate(rules):
        if rule.word == "tie":
            ours = [(found, key) for key in shapes if (found := rule.ours[0].match(key))]
            for (letters, rest), key in ours:
                other = rule.theirs[0].fill(letters, rest)
                if other is not None:
                    second[other] = key
                    used.add(i)
    skips = tuple(pattern for rule in rules if rule.word == "skip" for pattern in rule.theirs)
    used.update(i for i, rule in enumerate(rules) if rule.word == "skip")
    return WeightMap(node.name, network, tuple(moves), second, skips)


def _tried(
    rules: list[tuple[int, Rule]], key: str, shapes: Mapping[str, tuple[int, ...]], used: set[int], done: set[str]
) -> Iterator[Move | None]:
    """What each rule makes of a key, in their order; the places of those that name it are added to `used`."""
    for i, rule in rules:
        for pattern in rule.ours:
            found = pattern.match(key)
            if found is not None:
                move = _move(rule, *found, shapes, done)
                if move is not None:
                    used.add(i)
                yield move


def _move(
    rule: Rule, letters: Mapping[str, int], rest: str, shapes: Mapping[str, tuple[int, ...]], done: set[str]
) -> Move | None:
    """What a rule does at these letters; None where a number would fall below 0."""
    theirs, ours = ([p.fill(letters, rest) for p in side] for side in (rule.theirs, rule.ours))
    if None in theirs or None in ours:
        return None
    keys = tuple(k for k in ours if k is not None)
    missing = [key for key in keys if key not in shapes or key in done]
    if missing:
        here = next(key for key in keys if key in shapes)
        raise fail("A151", f"`{missing[0]}` is no weight that is left for this rule", rule.node.span,
                   notes=[f"`{here}` is one"], help="all keys of a `split` are weights of the network")
    here_shapes = tuple(shapes[key] for key in keys)
    return Move(tuple(k for k in theirs if k is not None), keys, _there(rule, here_shapes, keys), here_shapes, rule)


def _there(rule: Rule, here: tuple[tuple[int, ...], ...], keys: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """The shapes there, from the shapes here."""
    shape, axis = here[0], rule.axis
    if rule.word == "transpose":
        if len(shape) != 2:
            raise _cannot(rule, keys[0], shape, "it has no two axes to exchange")
        return (shape[::-1],)
    if rule.word not in ("fuse", "split", "slice"):
        return here
    if axis >= len(shape):
        raise _cannot(rule, keys[0], shape, f"it has no axis {axis}")
    if rule.word == "fuse":
        count = len(rule.theirs)
        if shape[axis] % count:
            why = f"{shape[axis]} does not divide into {count} equal parts"
            raise _cannot(rule, keys[0], shape, why, "the parts that `fuse` joins are equal")
        return (_resized(shape, axis, shape[axis] // count),) * count
    if rule.word == "split":
        for key, other in zip(keys, here, strict=True):
            if _resized(other, axis, 0) != _resized(shape, axis, 0) if axis < len(other) else True:
                why = f"`{keys[0]}` is {list(shape)}"
                raise _cannot(rule, key, other, why, f"the parts of one tensor differ along axis {axis} alone")
        return (_resized(shape, axis, sum(other[axis] for other in here)),)
    if rule.stop is not None and rule.stop - rule.start != shape[axis]:
        why = f"from {rule.start} to {rule.stop} are {rule.stop - rule.start}"
        raise _cannot(rule, keys[0], shape, why, "`stop` may be left away")
    return (_resized(shape, axis, rule.start + shape[axis]),)


def _resized(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    return (*shape[:axis], size, *shape[axis + 1 :])


def _cannot(rule: Rule, key: str, shape: tuple[int, ...], why: str, help: str = "") -> ArchError:
    return fail(
        "A151", f"`{rule.word}` does not go with `{key}`: {why}", rule.node.span, notes=[f"`{key}` is {list(shape)}"],
        help=help or "name the weight that is meant, `.weight` or `.bias` included",
    )


def _apart(moves: list[Move], node: s.Weights, network: str) -> None:
    """No key there stands for two weights."""
    seen: dict[str, Move] = {}
    for move in moves:
        for key in move.theirs:
            other = seen.setdefault(key, move)
            if other is not move:
                rule = move.rule or other.rule
                raise fail(
                    "A152", f"`{key}` would be two weights of `{network}`", rule.node.span if rule else node.name_span,
                    notes=[f"`{other.ours[0]}` and `{move.ours[0]}`"],
                    help="each weight has a key of its own there; `tie` gives one of them a second",
                )


def map_of(built: Built, name: str) -> WeightMap:
    """The map of that name for a network.

    Raises:
        ArchError: A153 it has none of that name; A150, A151, A152 the map is wrong.
    """
    maps = maps_of(built.definition)
    if name not in maps:
        raise fail("A153", f"`{built.name}` has no map of weights `{name}`",
                   help=offer(name, maps, "it has") if maps else f"`weights {name} of {built.definition.name}:` is one")
    return moves_of(maps[name], read_map(maps[name]), built.name, built.graph.parameters)


# ---------------------------------------------------------------------------------------------- checking a file
def check_maps(unit: Unit, built: Mapping[str, Built]) -> Iterator[Diagnostic]:
    """What is wrong with the maps of a file, held against each of its networks that stands."""
    for i, node in enumerate(unit.file.weights):
        yield from _declared(unit, node, unit.file.weights[:i])
        try:
            rules = read_map(node)
        except ArchError as error:
            yield from error.diagnostics
            continue
        yield from _held(unit, node, rules, built)


def _declared(unit: Unit, node: s.Weights, before: tuple[s.Weights, ...]) -> Iterator[Diagnostic]:
    own = [definition.name for definition in unit.networks]
    for name in node.networks:
        if name.name not in own:
            yield Diagnostic("A153", f"this file has no network `{name.name}`", name.span, help=offer(name.name, own))
        for other in before:
            if other.name == node.name and any(name.name == n.name for n in other.networks):
                yield Diagnostic("A153", f"`{name.name}` has a map `{node.name}` already", node.name_span,
                                 labels=(Label(other.name_span, "the other"),), help="another name, or one map of both")


def _held(unit: Unit, node: s.Weights, rules: tuple[Rule, ...], built: Mapping[str, Built]) -> Iterator[Diagnostic]:
    used: set[int] = set()
    keys: dict[str, None] = {}
    for name, network in built.items():
        parameters = network.graph.parameters
        spend(len(parameters) * len(rules))
        if maps_of(network.definition).get(node.name) is not node or exhausted():
            continue
        keys.update(dict.fromkeys(parameters))
        try:
            moves_of(node, rules, name, parameters, used)
        except ArchError as error:
            yield from error.diagnostics
            return
    for i, rule in enumerate(rules):
        if i not in used and keys:
            yield _unmatched(rule, list(keys))


def _unmatched(rule: Rule, keys: list[str]) -> Diagnostic:
    pattern = rule.ours[0]
    near = nearest(pattern.text, keys)
    return Diagnostic(
        "A151", f'no weight goes by `"{pattern.text}"`', pattern.span, help=f"did you mean `{near}`?" if near else
        "`ogive keys FILE NET` lists the weights of the network; an earlier rule may have taken them",
    )
