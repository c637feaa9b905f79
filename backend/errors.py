# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors that are shown to the user."""


class UserError(Exception):
    """One sentence that says what is wrong, and a remedy that says what to do about it."""

    def __init__(self, message: str, remedy: str = ""):
        super().__init__(message if not remedy else f"{message} {remedy}")
        self.message = message
        self.remedy = remedy
