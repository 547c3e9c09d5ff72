"""The parent's side of a measurement: starts actors, hands out steps in an order, collects the samples."""
