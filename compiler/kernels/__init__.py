"""Attention on a GPU: one family of Triton kernels for every set of pairs, every bias, forwards and backwards.

    spec.py       what crosses the operator: the walk in numbers, as one canonical JSON string
    ways.py       which parts of a set are walked                joined.py      pieces of windows as whole ones
    walk.py       from these parts to a spec and one tensor of tables
    biases.py     biases as the three kinds that kernels read
    setting.py    what a kernel is compiled for: types, widths, tiles; chosen for a target by choice.py
    tiles.py      shared Triton functions: which pairs a tile has, their scores, what dropout keeps
    forward.py    answers and log-sum-exps                       backward.py    gradients of q, k, v
    int8_forward.py   the same from INT8 codes           int8_quantise.py   codes, scales, means of keys, flags
    int8_launch.py    calls of both                      int8_operator.py   a torch operator, forwards alone
    scores.py     gradients of scores, summed                    added.py       from these to those of biases and masks
    registry.py   all kernels, for who compiles them             ready.py       where launches of builds pass
    launch.py     a call of a kernel for each part               fits.py        what a GPU has room for
    operator.py   torch operators with fakes and autograd
    attention.py  what a network calls, and why it would not

Triton is imported in tiles.py, forward.py, backward.py, scores.py, int8_forward.py, int8_quantise.py and registry.py
alone, and these by no file that runs without it. Kernels import torch and Triton, nothing else.
"""
