"""Functions from tables and arrays to matplotlib figures.

Nothing here is imported by the rest of the library, so that matplotlib is loaded only by those who
draw. Every function returns a `matplotlib.figure.Figure` with an Agg canvas and touches no global
state. Colours mean the same in every figure: see `toysae.figures.style`.
"""
