"""What a step reads: token ids, text, pairs of sentences, batches."""
