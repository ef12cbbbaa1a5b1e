"""Training: configuration, objective, state, step, loop and what a run leaves behind."""
