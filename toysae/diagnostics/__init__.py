"""The hidden space itself: PCA, higher moments, multicollinearity, trust in coefficients."""
