"""What takes a minute and is asked for once: reports, figures, maps, made beside the server."""
