"""Posts comments on changes to GitHub and GitLab, through their APIs."""
