"""Whether a server answers as the standards say: the sinkhole, and Knot with the same zones."""
