"""The training loop and its parts: settings, checkpoints, optimizer, EMA, log."""
