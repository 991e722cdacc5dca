"""Rendering: the one function that spends, and everything between a request and a clip that is kept."""
