"""A world, before anything is trained on it: what it states, and whether its samples do it.

Samples are drawn block by block (`sampling.py`) and held against every number that the generator
states (`agreement.py`): how often each feature fires, together with which others, how strongly.
A deviation is told in sigmas beside the largest one that as many comparisons are expected to show.
With a hidden space, how the features share its dimensions is described too (`space.py`).
"""
