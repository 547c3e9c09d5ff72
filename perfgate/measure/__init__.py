"""The parent's side of a measurement: starts actors, gives them turns, and turns their answers into launches."""
