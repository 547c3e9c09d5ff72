"""Makes the inputs of steps: token ids, text, pairs of sentences, batches."""
