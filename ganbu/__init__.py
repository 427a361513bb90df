"""Ganbu (干部): the lifecycle of a cadre corps, run by rules that are data."""
