"""The sinkhole: answers for seized names, and writes down who asked.

``zones`` says what is served, ``policy`` what the answer to a message is, ``fastpath`` the same at
line rate. Sockets, limits and telemetry stand beside them. Nothing that is sent is an instruction:
a bot gets an address, a handshake, and a constant reply.
"""
