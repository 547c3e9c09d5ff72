"""Fixed reference programs that contain nothing of what is under test."""
