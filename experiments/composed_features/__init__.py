"""Do SAEs find composed features where the true ones were expected?

Two sets of one-hot features, one of each active, in a hidden space that a toy model learned or that
gives every feature its own dimension. SAEs are trained over the published grid of learning rates
and L1 coefficients, with the published protocol and with a plain one that passes the positive
control. What is asked, and where it was claimed: `findings.py`.
"""
