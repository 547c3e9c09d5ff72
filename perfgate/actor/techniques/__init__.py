"""Puts settings into force in the libraries, and reads back the settings in force."""
