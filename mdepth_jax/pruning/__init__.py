"""NetAdapt: from a trained network to a smaller one (Yang et al. 2018)."""
