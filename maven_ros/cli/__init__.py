"""The command line: ``maven-ros COMMAND``."""
