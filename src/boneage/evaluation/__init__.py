"""How good a set of predictions is: metrics with bootstrap intervals."""
