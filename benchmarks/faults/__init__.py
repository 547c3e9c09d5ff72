"""A campaign of injected faults: each is injected into a real run, whose remains are then examined."""
