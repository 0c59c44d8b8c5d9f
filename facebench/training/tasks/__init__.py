"""Training tasks: each file holds the settings and the task of one kind."""
