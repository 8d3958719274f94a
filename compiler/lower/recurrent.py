"""Recurrent layers and cells, as modules of torch.nn."""

from __future__ import annotations

import operator
from typing import Any

from torch import nn

from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.graph import Node
from ogive.dsl.ops.recurrent import Cell, Recurrent

__all__ = ["gru", "gru_cell", "lstm", "lstm_cell", "rnn", "rnn_cell"]


@lowers("rnn")
def rnn(emit: Emit, node: Node, x: Value) -> tuple[Value, ...]:
    return _layers(emit, node, x, nn.RNN)


@lowers("gru")
def gru(emit: Emit, node: Node, x: Value) -> tuple[Value, ...]:
    return _layers(emit, node, x, nn.GRU)


@lowers("lstm")
def lstm(emit: Emit, node: Node, x: Value) -> tuple[Value, ...]:
    return _layers(emit, node, x, nn.LSTM)


def _layers(emit: Emit, node: Node, x: Value, kind: Any) -> tuple[Value, ...]:
    """The sequence, then the last states one by one: torch keeps those of all layers in one tensor."""
    op = settings(node, Recurrent)
    width = emit.types(node)[0].shape[2]
    module = kind(width, op.hidden, op.layers, batch_first=True, dropout=op.dropout, bidirectional=op.bidirectional)
    made = emit.module(module, x)
    last = emit.call(operator.getitem, made, 1)
    lists = [last] if len(op.results) == 2 else [emit.call(operator.getitem, last, i) for i in range(2)]
    states = [emit.method("select", s, 0, i) for s in lists for i in range(op.layers * op.directions)]
    return emit.call(operator.getitem, made, 0), *states


@lowers("rnn_cell")
def rnn_cell(emit: Emit, node: Node, x: Value, h: Value) -> Value:
    return _cell(emit, node, x, h, kind=nn.RNNCell)


@lowers("gru_cell")
def gru_cell(emit: Emit, node: Node, x: Value, h: Value) -> Value:
    return _cell(emit, node, x, h, kind=nn.GRUCell)


@lowers("lstm_cell")
def lstm_cell(emit: Emit, node: Node, x: Value, h: Value, c: Value) -> tuple[Value, ...]:
    made = _cell(emit, node, x, h, c, kind=nn.LSTMCell)
    return emit.call(operator.getitem, made, 0), emit.call(operator.getitem, made, 1)


def _cell(emit: Emit, node: Node, x: Value, *states: Value, kind: Any) -> Value:
    """States of one row are expanded to the batch."""
    op, (first, *types) = settings(node, Cell), emit.types(node)
    wide = []
    for state, t in zip(states, types, strict=True):
        alike = t.rank == 2 and t.shape[0] == first.shape[0]
        wide.append(state if alike else emit.method("expand", state, emit.size(first.shape[0]), -1))
    return emit.module(kind(first.shape[1], op.hidden), x, wide[0] if len(wide) == 1 else tuple(wide))
