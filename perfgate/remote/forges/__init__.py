"""Where comments on a change go: GitHub and GitLab, through their APIs."""
