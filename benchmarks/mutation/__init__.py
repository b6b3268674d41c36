"""Would the tests notice? Small mistakes are made in the metrics on purpose, one at a time."""
