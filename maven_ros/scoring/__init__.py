"""How near states are to what raters say."""
