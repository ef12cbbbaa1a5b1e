"""Pruning of trained networks by NetAdapt (Yang et al. 2018)."""
