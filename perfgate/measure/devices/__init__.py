"""Devices as the parent sees them."""
