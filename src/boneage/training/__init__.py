"""Training: augmentation, fit, export; the ``Model`` class."""
