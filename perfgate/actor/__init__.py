"""The actor's side of the wall: the only place that imports torch. Nothing on the parent's side imports it."""
