"""Screenplays that compile to priced, exact requests for AI video."""

__version__ = "0.1.0"
