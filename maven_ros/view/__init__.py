"""What is believed, live or from a bag, in Rerun: a subscriber like any other."""

#: Of the page, on this machine.
DEFAULT_PORT = 9090
