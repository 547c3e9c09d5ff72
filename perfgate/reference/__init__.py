"""What a run is held against: a revision or another interpreter."""
