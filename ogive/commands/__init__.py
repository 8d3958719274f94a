"""One file per command or small group. A command imports its room inside its own function, so that help is at once."""
