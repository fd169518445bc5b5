"""Reports: plots of a run and pages. Plots need matplotlib, which ``boneage[train]`` brings."""
