"""The main process's handles on devices, which never use torch."""
