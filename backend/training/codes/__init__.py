# SPDX-License-Identifier: GPL-3.0-or-later
"""Learning expression codes from crops of faces."""
