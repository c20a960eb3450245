"""Estimates as numbers, to compare them."""

import numpy as np


def numbers(estimates):
    """Return the point, its spread and the influences of each estimate, (estimates, 7)."""
    return np.array([(one.affect.valence, one.affect.arousal, one.valence_std, one.arousal_std,
                      *one.influence) for one in estimates])
