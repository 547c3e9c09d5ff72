"""A campaign of injected faults: each is put into a real run, and what is left behind is looked at."""
