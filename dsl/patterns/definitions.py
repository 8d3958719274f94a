"""Definitions of patterns in a file: their settings, their mistakes, and the patterns that they make.

A `Definition` is called as the built-in patterns are (`constructor`, `make`); `check` gives everything that is wrong
with it, whoever uses it. Codes: A130 a field that no position has, A131 one that this grid has not, A132 an `allow`
that is no condition, A133 settings of a pattern inside, A134 operators and operands, A135 an unknown name, A136
declarations and patterns made of themselves, A137 no value (a division by zero), A138 a setting that depends on the
pair, or a mechanism, A139 too much work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ogive.dsl import syntax as s
from ogive.dsl.diagnostics import ArchError, Diagnostic, fail, offer
from ogive.dsl.patterns.algebra import Pattern, leaves, union, weight
from ogive.dsl.patterns.mechanisms import Mechanism
from ogive.dsl.patterns.named import Dense
from ogive.dsl.patterns.names import CONSTRUCTORS, REQUIRED, Constructor, Parameter, written
from ogive.dsl.patterns.predicate import (
    FIELDS,
    FUNCTIONS,
    MOST_NODES,
    PLACES,
    SLOTS,
    UNSET,
    WRONG,
    Code,
    Compiler,
    Env,
    constant,
)
from ogive.dsl.patterns.space import PatternError
from ogive.dsl.patterns.user import Program, User
from ogive.dsl.source import Span

__all__ = ["Definition", "nothing_else", "place_of"]

TYPES: Final = ("int", "float", "bool", "pattern", "size", "string")


def nothing_else(name: str) -> Definition | None:
    """The lookup of a file that defines no other pattern."""
    return None


@dataclass
class _Work:
    """What the patterns inside each other of one use share: their operations are counted together."""

    nodes: int = 0

    def spend(self, nodes: int, node: s.Pattern) -> None:
        """Count operations.

        Raises:
            ArchError: A139 there are too many.
        """
        self.nodes += nodes
        if self.nodes > MOST_NODES:
            raise fail("A139", f"`{node.name}` and the patterns in it do too much for one pair", node.name_span,
                       help=f"at most {MOST_NODES:,} operations")


@dataclass(frozen=True)
class Definition:
    """`pattern name(params): ...` of a file. `lookup` finds the other patterns that its lines may name."""

    node: s.Pattern
    lookup: Callable[[str], Definition | None] = field(default=nothing_else, compare=False, repr=False)
    others: Callable[[], set[str]] = field(default=set, compare=False, repr=False)

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def constructor(self) -> Constructor:
        """How it is called, as the built-in ones are.

        Raises:
            ArchError: A136, a parameter is declared wrongly.
        """
        return self._constructor(_Work(), ())

    def _constructor(self, work: _Work, chain: tuple[s.Pattern, ...]) -> Constructor:
        return Constructor(self.name, tuple(self._parameter(p, work, chain) for p in self.node.params), self._built)

    def make(self, positional: Sequence[Any] = (), keyword: Mapping[str, Any] | None = None) -> User:
        """The pattern with these settings.

        Raises:
            PatternError: a setting is missing, unknown or of another type.
            ArchError: A130 to A139, in its lines.
        """
        return self._user(self.constructor.bound(positional, keyword or {}), _Work(), ())

    def _built(self, **settings: Any) -> User:
        return self._user(settings, _Work(), ())

    def check(self) -> tuple[Diagnostic, ...]:
        """Everything that is wrong with it, whoever uses it."""
        found = [*self._names()]
        try:
            parameters = self.constructor.parameters
        except ArchError as error:
            return (*found, *error.diagnostics)
        try:
            if all(p.default is not REQUIRED for p in parameters):
                self._user({p.name: p.default for p in parameters}, _Work(), ())
            else:
                codes = {p.name: Code(_kind(p), WRONG.run, pattern=_stand_in(p)) for p in parameters}
                self._program(codes, _Work(), (), known=False)
        except ArchError as error:
            found += error.diagnostics
        return tuple(dict.fromkeys(found))

    # ------------------------------------------------------------------------------------ declarations
    def _names(self) -> Iterator[Diagnostic]:
        """Names that are taken, and bodies without an `allow`."""
        node, taken = self.node, {"q": "a query", "k": "a key", "pi": "a number of the language"}
        named: list[s.Param | s.Let] = [*node.params, *(x for x in node.body if isinstance(x, s.Let))]
        if node.name in CONSTRUCTORS or node.name in FUNCTIONS:
            what = "a pattern" if node.name in CONSTRUCTORS else "a function"
            yield _wrong(f"`{node.name}` is {what} of the language", node.name_span, "choose another name")
        elif not node.name[:1].islower():
            yield _wrong(f"`{node.name}` is a pattern, and patterns are lower case", node.name_span,
                         f"`pattern {node.name.lower()}`")
        for item in named:
            if item.name in taken:
                yield _wrong(f"`{item.name}` is {taken[item.name]} here", item.span, "choose another name")
            elif item.name in CONSTRUCTORS or item.name in FUNCTIONS:
                yield _wrong(f"`{item.name}` has a meaning in the language", item.span, "choose another name")
            taken[item.name] = "set above"
        if not any(isinstance(x, s.Allow) for x in node.body):
            yield _wrong(f"`{node.name}` allows nothing", node.name_span, "a line such as `allow q.row == k.row`")

    def _parameter(self, param: s.Param, work: _Work, chain: tuple[s.Pattern, ...]) -> Parameter:
        kind: str | tuple[str, ...] | None = None
        if param.type is not None:
            kind = param.type.names if param.type.kind == "choice" else param.type.names[0]
            if param.type.kind == "list" or (param.type.kind == "name" and kind not in TYPES):
                raise ArchError((_wrong(f"a pattern takes no `{param.type.span.text}`", param.type.span,
                                        f"its settings are {', '.join(TYPES)}"),))
        if param.default is None:
            return Parameter(param.name, kind or "int")
        compiler = self._compiler({}, work, chain, True)
        code = compiler.code(param.default)
        work.spend(compiler.nodes, self.node)
        if code.varies:
            raise ArchError((_wrong("a default does not depend on q and k", param.default.span, None),))
        kind = kind or code.kind
        value = code.pattern if code.pattern is not None else code.run([])
        bare = Parameter(param.name, kind)
        try:
            return Parameter(param.name, kind, Constructor(self.name, (bare,), Dense).bound((value,), {})[param.name])
        except PatternError as error:
            raise ArchError((_wrong(error.title, param.default.span, error.help),)) from None

    # ------------------------------------------------------------------------------------ lines
    def _user(self, settings: dict[str, Any], work: _Work, chain: tuple[s.Pattern, ...]) -> User:
        parameters = self._constructor(work, chain).parameters
        codes = {p.name: constant(settings[p.name], _kind(p)) for p in parameters}
        program, uses = self._program(codes, work, chain)
        assert program is not None
        own = [p for p in parameters if settings[p.name] != p.default]
        shown = [f"{p.name}={written(settings[p.name]).strip('`')}" for p in own]
        body = self.node.body
        return User(
            self.name, tuple((p.name, settings[p.name]) for p in parameters),
            tuple(x for x in body if isinstance(x, s.Let)), tuple(x for x in body if isinstance(x, s.Allow)), uses,
            f"{self.name}({', '.join(shown)})" if shown else self.name, program,
        )

    def _program(
        self, codes: dict[str, Code], work: _Work, chain: tuple[s.Pattern, ...], known: bool = True
    ) -> tuple[Program | None, tuple[Pattern, ...]]:
        """The lines as code, all their mistakes at once; no program where settings are not known."""
        uses: list[Pattern] = []
        compiler = self._compiler(codes, work, chain, known, uses)
        wrong: list[Diagnostic] = []
        allows: list[Code] = []
        slots = SLOTS
        for line in self.node.body:
            try:
                code = compiler.code(line.value if isinstance(line, s.Let) else line.test)
                if isinstance(line, s.Allow) and code.kind not in ("bool", "pattern", "wrong"):
                    raise fail("A132", f"`allow` takes a condition or a pattern; here is {_described(code)}",
                               line.test.span, help=f"compare it: `allow {line.test.span.text} <= 3`")
            except ArchError as error:
                wrong += error.diagnostics
                code = WRONG
            if isinstance(line, s.Let):
                compiler.names[line.name] = _once(code, slots)
                slots += 1
            else:
                allows.append(code)
        if wrong:
            raise ArchError(tuple(wrong))
        work.spend(compiler.nodes, self.node)
        if not known or not allows:
            if not allows and known:
                raise ArchError(tuple(self._names()))
            return None, tuple(uses)
        sets = [code.pattern for code in allows if code.pattern is not None]
        inside = tuple(bool(code.reads & PLACES) and "is_prefix" not in code.reads for code in allows)
        algebra = union(sets) if len(sets) == len(allows) else None
        depth = max(code.depth for code in allows)
        return Program(tuple(allows), inside, slots, compiler.fields, depth, algebra), tuple(uses)

    def _compiler(
        self, codes: dict[str, Code], work: _Work, chain: tuple[s.Pattern, ...], known: bool,
        uses: list[Pattern] | None = None,
    ) -> Compiler:
        def call(name: str, expr: s.Expr, args: tuple[s.Arg, ...], compiler: Compiler) -> Code:
            return self._call(name, expr, args, compiler, work, (*chain, self.node), known, uses)

        return Compiler(dict(codes), call, _asks_for_prefix(self.node), known)

    def _call(
        self, name: str, expr: s.Expr, args: tuple[s.Arg, ...], compiler: Compiler, work: _Work,
        chain: tuple[s.Pattern, ...], known: bool, uses: list[Pattern] | None,
    ) -> Code:
        """A pattern inside the pattern: one of the language, or of the file."""
        definition = None if name in CONSTRUCTORS else self.lookup(name)
        if name not in CONSTRUCTORS and definition is None:
            names = {*compiler.names, *FUNCTIONS, *CONSTRUCTORS, *self.others(), "pi"}
            if name in FIELDS:
                raise fail("A135", f"`{name}` is a field of a position", expr.span, help=f"`q.{name}` or `k.{name}`")
            raise fail("A135", f"nothing here is called `{name}`", expr.span, help=_offered(name, names))
        if definition is not None and any(definition.node is node for node in chain):
            raise fail("A136", f"`{name}` is made of itself", expr.span,
                       notes=[" > ".join([*(n.name for n in chain), name])], help="a pattern must end somewhere")
        given = [self._argument(arg, compiler, known) for arg in args]
        if name in CONSTRUCTORS and (reason := CONSTRUCTORS[name].why) is not None:
            raise fail("A138", f"`{name}` is no set of pairs: {reason}", expr.span,
                       help="a mechanism stands alone in `over=`")
        if any(value is WRONG for value in given):
            return WRONG
        positional = [v for a, v in zip(args, given, strict=True) if a.name is None]
        keyword = {a.name: v for a, v in zip(args, given, strict=True) if a.name is not None}
        if not known:
            return Code("pattern", WRONG.run, pattern=Dense())
        constructor = CONSTRUCTORS[name] if definition is None else definition._constructor(work, chain)
        try:
            settings = constructor.bound(positional, keyword)
            made = constructor.build(**settings) if definition is None else definition._user(settings, work, chain)
        except PatternError as error:
            raise fail("A133", error.title, place_of(error, expr, args, constructor), help=error.help) from None
        if isinstance(made, Mechanism):
            raise fail("A138", f"`{made}` is no set of pairs: {made.why}", expr.span,
                       help="a mechanism stands alone in `over=`")
        if uses is not None:
            uses.append(made)
        users = [leaf.program.depth for leaf in leaves(made) if isinstance(leaf, User)]
        depth = 2 * weight(made)[1] + 2 + max(users, default=0)
        return Code("pattern", constant(made, "pattern").run, pattern=made, depth=depth)

    def _argument(self, arg: s.Arg, compiler: Compiler, known: bool) -> Any:
        """The value of a setting; WRONG where a mistake in it is reported already."""
        if isinstance(arg.value, s.ListExpr):
            items = [self._argument(s.Arg(None, x, x.span), compiler, known) for x in arg.value.items]
            return WRONG if any(x is WRONG for x in items) else tuple(items)
        code = compiler.code(arg.value)
        if code.kind == "wrong":
            return WRONG
        if code.varies or (code.kind == "pattern" and code.pattern is None):
            raise fail("A138", "a setting of a pattern is the same for all pairs; here it depends on the pair",
                       arg.value.span, help="write the condition itself, without the pattern around it")
        if not known:
            return None
        return code.pattern if code.pattern is not None else code.run([])


def _once(code: Code, slot: int) -> Code:
    """A line's value under its name: worked out when it is first asked for, once per pair."""
    if not code.varies or code.kind == "wrong":
        return code
    run = code.run

    def value(env: Env) -> Any:
        found = env[slot]
        if found is UNSET:
            found = env[slot] = run(env)
        return found

    return Code(code.kind, value, code.reads, code.pattern, code.depth + 1)


def _kind(p: Parameter) -> str:
    return "string" if isinstance(p.type, tuple) else p.type


def _stand_in(p: Parameter) -> Pattern | None:
    return Dense() if p.type == "pattern" else None


def _described(code: Code) -> str:
    return {"int": "a whole number", "float": "a number", "size": "a size", "string": "a string"}[code.kind]


def _wrong(title: str, span: Span, help: str | None) -> Diagnostic:
    return Diagnostic("A136", title, span, help=help)


def _offered(name: str, names: set[str]) -> str:
    return offer(name, names) if offer(name, names).startswith("did") else offer(name, names, "names here")


def place_of(error: PatternError, expr: s.Expr, args: Sequence[s.Arg], constructor: Constructor) -> Span:
    """The argument that an error names; the whole use where it names none that is there."""
    order = [p.name for p in constructor.parameters]
    for i, arg in enumerate(args):
        if (arg.name or (order[i] if i < len(order) else None)) == error.setting:
            return arg.value.span if arg.name is None or arg.name in order else arg.name_span
    return expr.span


def _asks_for_prefix(node: s.Pattern) -> bool:
    """Whether `is_prefix` stands anywhere in the body."""
    todo: list[Any] = [line.value if isinstance(line, s.Let) else line.test for line in node.body]
    while todo:
        x = todo.pop()
        match x:
            case s.Attr(_, "is_prefix"):
                return True
            case s.Unary():
                todo.append(x.value)
            case s.Binary() | s.Compare():
                todo += (x.left, x.right)
            case s.Conditional():
                todo += (x.then, x.test, x.other)
            case s.Call():
                todo += (arg.value for arg in x.args)
    return False
