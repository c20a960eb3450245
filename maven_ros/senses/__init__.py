"""From raw sound and pictures to evidence on one clock."""
