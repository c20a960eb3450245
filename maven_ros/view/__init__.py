"""The view: show inputs and states in Rerun, live or from a bag."""

#: Port of the page on this machine.
DEFAULT_PORT = 9090
