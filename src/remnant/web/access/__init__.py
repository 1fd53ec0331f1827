"""Who asks: roles, accounts, sessions, tokens, and the record of what they did."""
