"""Talks to other machines: runs shards of a suite on many of them, and uses the APIs of GitHub and GitLab."""
