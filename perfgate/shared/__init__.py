"""Modules that both the main process and the actors import; standard library only."""
