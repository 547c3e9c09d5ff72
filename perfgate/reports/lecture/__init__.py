"""The tour through the lecture's topics: what each measures, in which words it is told, and how it is run."""
