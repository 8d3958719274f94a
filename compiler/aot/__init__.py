"""Kernels compiled ahead of time: cubins and what says how they are launched, without a GPU and without a compiler."""
