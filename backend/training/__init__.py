# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that trains, measures and makes synthetic people; the extension leaves it out."""
