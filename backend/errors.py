# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors that are shown to the user."""


class UserError(Exception):
    """One sentence that says what is wrong, and a remedy that says what to do about it."""

    def __init__(self, message: str, remedy: str = ""):
        super().__init__(message if not remedy else f"{message} {remedy}")
        self.message = message
        self.remedy = remedy


def printable(text: str) -> str:
    """A text of a stranger's file as it may be shown: what steers a terminal is escaped as in repr()."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def out_of_memory(fault: BaseException) -> bool:
    """Whether an error says that memory was refused: torch has a class of its own for CUDA alone."""
    refused = "can't allocate memory", "bad_alloc", "out of memory", "Cannot allocate memory"
    return isinstance(fault, MemoryError) or any(text in str(fault) for text in refused)


def memory_error(name: str) -> UserError:
    """What is said where some work ran out of memory."""
    return UserError(
        f"{name} ran out of memory.", "Use fewer photos or a smaller setting, or end other programs."
    )
