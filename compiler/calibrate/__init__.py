"""Calibration: what each form of INT8 makes of a network's attentions on real inputs, and the plan that follows.

    measure.py   runs inputs and compares        plan.py   what was found, as a file        plot.py   as a picture
"""
