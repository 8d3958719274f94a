"""Scopes: of names, looked up from the inside out, and of state_dict keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from keyword import iskeyword
from typing import Any, Final, Literal

from ogive.dsl import limits
from ogive.dsl.diagnostics import ArchError, Label, fail
from ogive.dsl.source import Span

__all__ = ["MODULE_MEMBERS", "RESERVED", "Entry", "Keys", "Kind", "Names", "check_key"]

Kind = Literal["input", "node", "constant", "parameter", "size", "index", "carried", "shared"]

RESERVED: Final = frozenset([
    "input", "return", "assert", "presets", "expect", "shared", "repeat", "if", "elif", "else", "scan", "next", "emit",
    "residual", "gate", "append", "and", "or", "not", "in", "as", "with", "from", "True", "False", "None",
    "training", "_",
])
"""Words that no node, constant or parameter may be called."""

MODULE_MEMBERS: Final = frozenset([
    "T_destination", "add_module", "apply", "bfloat16", "buffers", "call_super_init", "children", "compile", "cpu",
    "cuda", "double", "dump_patches", "eval", "extra_repr", "float", "forward", "get_buffer", "get_extra_state",
    "get_parameter", "get_submodule", "half", "ipu", "load_state_dict", "modules", "mtia", "named_buffers",
    "named_children", "named_modules", "named_parameters", "parameters", "register_backward_hook", "register_buffer",
    "register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook",
    "register_full_backward_pre_hook", "register_load_state_dict_post_hook", "register_load_state_dict_pre_hook",
    "register_module", "register_parameter", "register_state_dict_post_hook", "register_state_dict_pre_hook",
    "requires_grad_", "set_extra_state", "set_submodule", "share_memory", "state_dict", "to", "to_empty", "train",
    "training", "type", "xpu", "zero_grad", "graph", "code", "meta", "recompile", "print_readable", "to_folder",
    "add_submodule", "delete_submodule", "delete_all_unused_submodules", "shape_env",
    "_apply", "_backward_hooks", "_backward_pre_hooks", "_boxed_call", "_buffers", "_call_impl", "_code",
    "_compiled_call_impl", "_create_node_hooks", "_deepcopy_hooks", "_deepcopy_init", "_erase_node_hooks",
    "_forward_hooks", "_forward_hooks_always_called", "_forward_hooks_with_kwargs", "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs", "_get_backward_hooks", "_get_backward_pre_hooks", "_get_name", "_graph",
    "_is_full_backward_hook", "_lineno_map", "_load_from_state_dict", "_load_state_dict_post_hooks",
    "_load_state_dict_pre_hooks", "_maybe_warn_non_full_backward_hook", "_modules", "_named_members",
    "_non_persistent_buffers_set", "_parameters", "_prologue_start", "_recompile_submodules",
    "_register_create_node_hook", "_register_deepcopy_hook", "_register_erase_node_hook",
    "_register_load_state_dict_pre_hook", "_register_replace_node_hook", "_register_state_dict_hook",
    "_replace_hooks", "_replicate_for_data_parallel", "_save_to_state_dict", "_set_replace_hook", "_slow_forward",
    "_state_dict_hooks", "_state_dict_pre_hooks", "_tracer_cls", "_tracer_extras", "_unregister_create_node_hook",
    "_unregister_deepcopy_hook", "_unregister_erase_node_hook", "_unregister_replace_node_hook", "_version",
    "_wrapped_call", "_wrapped_call_impl",
])
"""Attributes of `nn.Module` and `fx.GraphModule`: a weight or scope of that name would hide them."""


@dataclass(slots=True)
class Entry:
    value: Any
    span: Span
    kind: Kind
    origin: Span


@dataclass(slots=True)
class Names:
    """One scope of names, and the one around it."""

    parent: Names | None = None
    table: dict[str, Entry] = field(default_factory=dict)

    def find(self, name: str) -> Entry | None:
        scope: Names | None = self
        while scope is not None:
            entry = scope.table.get(name)
            if entry is not None:
                return entry
            scope = scope.parent
        return None

    def bind(self, name: str, value: Any, span: Span, kind: Kind, origin: Span | None = None) -> None:
        """Give a name its value.

        Raises:
            ArchError: A108 reserved, A103 the scope has it already.
        """
        self.refuse(name, span, kind)
        self.table[name] = Entry(value, span, kind, origin or span)

    def refuse(self, name: str, span: Span, kind: Kind = "node") -> None:
        """Refuse a name that cannot be given here. A later loop may carry what an earlier one has carried."""
        if name in RESERVED:
            raise fail("A108", f"`{name}` is a word of the language and cannot be a name", span,
                       help=f"a word that says more, or `{name}_`")
        known = self.table.get(name)
        if known is not None and known.span != span and (known.kind, kind) != ("carried", "carried"):
            raise fail(
                "A103", f"`{name}` has a meaning here already", span, labels=[Label(known.span, _the(known.kind))],
                help=f'another name; `as` keeps the key: `{name}_ = ... as "{name}"`' if known.kind == "parameter"
                else "another name, or another letter in the shape" if known.kind == "size"
                else "two nodes or constants of a scope do not share a name",
            )

    def entry(self, value: Any, span: Span, kind: Kind) -> Entry:
        return Entry(value, span, kind, span)

    def hand_out(self, name: str, entry: Entry) -> None:
        """Take over a name from a repeat that opens no scope: the same line gives it again each time.

        Raises:
            ArchError: A103 another line has it.
        """
        known = self.table.get(name)
        if known is not None and known.span != entry.span:
            raise fail(
                "A103", f"`{name}` has a meaning here already", entry.span,
                labels=[Label(known.span, _the(known.kind))],
                help="a repeat without a key of its own opens no scope",
            )
        self.table[name] = entry

    def visible(self) -> Iterator[str]:
        scope: Names | None = self
        while scope is not None:
            yield from scope.table
            scope = scope.parent


@dataclass(slots=True)
class Keys:
    """A place in the state_dict: its prefix, the bullets counted in it, and, in an iteration, who took its own key.

    `claimed` is the unnamed op that did, `lent` how many weights it has, `named` another op with weights beside it.
    """

    prefix: str = ""
    bullets: int = 0
    iteration: bool = False
    claimed: Span | None = None
    lent: int = 0
    named: Span | None = None

    def under(self, name: str) -> str:
        return self.prefix + name

    def bullet(self) -> str:
        self.bullets += 1
        return f"{self.prefix}{self.bullets - 1}"

    def count(self, span: Span, weights: int) -> None:
        """The line at `span` made so many weights."""
        if self.claimed == span:
            self.lent += weights
        elif weights:
            self.named = self.named or span


def check_key(key: str, span: Span) -> None:
    """Refuse a key that a module could not hold.

    Raises:
        ArchError: A112 an empty part, a word of Python, or one that hides a member of `nn.Module`; A505 too long.
    """
    parts = key.split(".")
    if len(key) > limits.KEY_LENGTH or len(parts) > limits.KEY_PARTS:
        most = f"{limits.KEY_LENGTH:,} characters and {limits.KEY_PARTS} parts"
        raise fail("A505", f"a state_dict key has at most {most}", span,
                   notes=[f"here are {len(key):,} characters and {len(parts):,} parts"])
    for part in parts:
        if not _is_fine(part):
            raise _refused(key, part, span)


def _the(kind: Kind) -> str:
    return f"the {kind} {'value' if kind == 'carried' else 'module' if kind == 'shared' else ''}".rstrip()


@lru_cache(4096)
def _is_fine(part: str) -> bool:
    letters = part.isascii() and part.replace("_", "a").isalnum()
    return letters and part not in MODULE_MEMBERS and not part.startswith("__") and not iskeyword(part)


def _refused(key: str, part: str, span: Span) -> ArchError:
    if part in MODULE_MEMBERS or part.startswith("__"):
        return fail(
            "A112", f"the name `{part}` would hide `nn.Module.{part}`", span,
            help=f"another name, or another key: `as \"{part}_\"`",
        )
    if iskeyword(part):
        return fail("A112", f"`{part}` is a word of Python, and no module is reached under it", span,
                    help=f"another name, or another key: `as \"{part}_\"`")
    return fail("A112", f"`{key}` is no state_dict key", span,
                help="a key is made of letters, digits and `_`, its parts joined by `.`")
