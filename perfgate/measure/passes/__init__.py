"""The passes of a case, one file each. A pass is a kind of launch, with instruments of its own."""
