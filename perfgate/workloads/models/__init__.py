"""The models and texts that workloads run on."""
