"""What both sides of the wall use; standard library only."""
