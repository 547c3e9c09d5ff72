"""What puts a setting into force, and reads it back."""
