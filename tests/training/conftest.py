import torch

torch.set_num_threads(1)  # tiny convolutions: a second thread only spins
