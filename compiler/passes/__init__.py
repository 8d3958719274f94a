"""Rewrites: valid in, valid out; a pass that declines says why."""
