"""An emulated CUDA device: one library stands in for NVIDIA's, below an unchanged torch that is built for CUDA.

``source/`` is that library, in C; ``profiles`` describes the cards; ``build`` compiles the library for an
interpreter's torch and gives the variables for a process on it. docs/emulated-gpu.md says what it can show and what it
cannot.
"""
