# SPDX-License-Identifier: GPL-3.0-or-later
"""How good avatars are, what the network looks at, and which choice is worth what."""
