"""The one exception that the kit raises for people to read."""


class MtkdError(Exception):
    """One clear line for a person: what is wrong, where, what was expected, what to do."""


class Damaged(MtkdError):
    """A file of the kit's own is not as it was written: it can be made again."""


def first_line(error: BaseException) -> str:
    """The first line of what another library says; the error's kind where it says nothing."""
    if isinstance(error, KeyError):  # which says the key alone
        return f"no {error}"
    return (str(error).strip() or type(error).__name__).splitlines()[0]
