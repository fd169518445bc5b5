"""Labels and images, paired; splits; the cache of prepared images."""
