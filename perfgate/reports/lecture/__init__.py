"""The tour through the lecture's topics: their workloads, their explanations, and the code that runs them."""
