"""Torture: real servers, real processes and real faults, and a judge that knows nothing of the program."""
