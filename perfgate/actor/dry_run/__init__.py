"""The dry run: a step on fake tensors, which need neither a GPU nor memory, and the ledger of its work and memory."""
