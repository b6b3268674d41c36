"""Every speed claim, as a command that prints it."""
