"""Reports: plots of a run and pages about it. Needs matplotlib, which ``boneage[train]`` brings."""
