"""What a network costs before anything runs: parameters, multiply-adds, memory, reach, time on a target. No torch."""

from ogive.compiler.cost.clock import Machine, machine_of, width_of
from ogive.compiler.cost.formulas import Formula, Formulas, formulas
from ogive.compiler.cost.groups import grouped
from ogive.compiler.cost.nodes import NodeCost, costs
from ogive.compiler.cost.sizes import DEFAULTS, macs, sizes_of
from ogive.compiler.cost.steps import Sight, sight, steps
from ogive.compiler.cost.totals import Memory, figures, memory
from ogive.compiler.cost.tree import Row, leaves, tree
from ogive.compiler.cost.variants import Variant, variant
from ogive.dsl.memory import trained, weight_bytes

__all__ = [
    "DEFAULTS", "Formula", "Formulas", "Machine", "Memory", "NodeCost", "Row", "Sight", "Variant", "costs", "figures",
    "formulas", "grouped", "leaves", "machine_of", "macs", "memory", "sight", "sizes_of", "steps", "trained", "tree",
    "variant", "weight_bytes", "width_of",
]
