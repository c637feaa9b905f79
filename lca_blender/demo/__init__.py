# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole product once, without a window: photos in, a performed and rendered avatar out."""
