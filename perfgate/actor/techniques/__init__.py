"""Puts settings into force in the libraries, and reads back which settings are in force."""
