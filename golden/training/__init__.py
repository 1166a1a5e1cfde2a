"""The training side: data sets, network, training loop and checkpoints."""
