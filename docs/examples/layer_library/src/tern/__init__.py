"""Layers that other packages build their models from."""

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

__all__ = ["LocalAttention", "RootNorm"]


class RootNorm(nn.Module):
    """Divides by the root of the mean square, and scales."""

    def __init__(self, width, floor=1e-6):
        super().__init__()
        self.weight, self.floor = nn.Parameter(torch.ones(width)), floor

    def forward(self, hidden):
        return self.weight * hidden * (hidden.square().mean(-1, keepdim=True) + self.floor).rsqrt()


class LocalAttention(nn.Module):
    """Each token looks at the last ``window`` tokens; masks are kept by length."""

    def __init__(self, width, heads=4, window=16):
        super().__init__()
        self.heads, self.window, self.masks = heads, window, {}
        self.norm, self.projected, self.out = RootNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)

    def mask(self, length, device):
        if length not in self.masks:
            ones = torch.ones(length, length, dtype=torch.bool, device=device)
            self.masks[length] = ones.tril() & ones.triu(1 - self.window)
        return self.masks[length]

    def forward(self, hidden):
        parts = self.projected(self.norm(hidden)).chunk(3, dim=-1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=self.mask(hidden.shape[1], hidden.device))
        return hidden + self.out(mixed.transpose(1, 2).flatten(2))
