"""The one exception that the kit raises for people to read."""


class MtkdError(Exception):
    """One clear line for a person: what is wrong, where, what was expected, what to do."""
