"""The page: a report as one HTML file that needs no network, from the verdict to its cause."""
