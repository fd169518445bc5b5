"""The networks: torch modules and nothing else."""
