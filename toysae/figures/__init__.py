"""Functions from tables and arrays to matplotlib figures.

Only the report imports from here, so that matplotlib is loaded by none but those who draw. Every
function returns a `matplotlib.figure.Figure` with an Agg canvas and touches no global state.
Colours mean the same in every figure: see `toysae.figures.style`.
"""
