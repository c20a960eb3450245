"""The command line ``maven-ros``: its parser, and a module per group of commands."""
