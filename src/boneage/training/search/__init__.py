"""The hyperparameter search: a space of settings, workers on one study, and the best of them."""
