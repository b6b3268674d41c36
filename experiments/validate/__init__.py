"""Real SAEs through the same functions: how well do they agree, fire together, and how often?

Every SAE below a directory of SAELens checkpoints is held against every other one that reads
activations of the same dimension. What is asked: do two SAEs find the same latents
(`agreement.py`), do those fire on the same samples (`firing.py`), can their effects be told apart
(`collinearity.py`), and is it what was published (`published.py`)? Every number of agreement comes
with the level that unrelated SAEs reach.
"""
