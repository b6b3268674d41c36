"""Features that fire where correlated Gaussian latents exceed thresholds."""
