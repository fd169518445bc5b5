"""Predicting with a bundle, without a deep-learning framework."""
