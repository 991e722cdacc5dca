"""A fuzzer for everything that a stranger may hand to the program: mutations that always run, and guided ones with atheris."""
