"""Where the clients are: networks, countries and prefixes, as pages show them."""
