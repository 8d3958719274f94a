"""The memory that a network takes, by its graph alone: what lies there at once, in a forward and a training step."""

from ogive.dsl.memory.attention import scores_of, way_of
from ogive.dsl.memory.peak import Peak, Step, inference, trained, training, weight_bytes

__all__ = ["Peak", "Step", "inference", "scores_of", "trained", "training", "way_of", "weight_bytes"]
