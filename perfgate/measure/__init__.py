"""The parent's side of a measurement: starts actors, gives them turns, and makes launches of their answers."""
