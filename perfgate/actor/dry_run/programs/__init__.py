"""What stands for each of Perfgate's programs on fake tensors."""
