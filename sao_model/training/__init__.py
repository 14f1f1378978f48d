"""What the two training loops share: processes, randomness, a run's log, its checkpoints, how it ends.

The loops themselves are sao_model/train_vae.py and train_dit.py, one file each.
"""
