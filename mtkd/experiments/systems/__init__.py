"""What each run does, one system a file."""
