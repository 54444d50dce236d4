"""Where the digits of a scene are, and which."""
