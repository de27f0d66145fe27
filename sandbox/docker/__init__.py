"""The docker backend: one container per run, through any daemon that speaks Docker's interface."""
