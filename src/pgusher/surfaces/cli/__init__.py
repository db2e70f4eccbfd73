"""The command line: `main` dispatches, each command is one file, `options` reads the words."""
