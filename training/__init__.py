"""The runner around PufferLib. Only its worker processes import torch and PufferLib."""
