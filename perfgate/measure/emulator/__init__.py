"""An emulated CUDA device: one library stands in for NVIDIA's, below an unchanged torch that is built for CUDA.

``source/`` is that library, in C; ``profiles`` describes the cards; ``build`` makes the library for the torch of an
interpreter and says how a process is started on it. docs/emulated-gpu.md tells what it can show and what it cannot.
"""
