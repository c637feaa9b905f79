# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca bench`: how fast each part is, next to a named peer in the same process."""
