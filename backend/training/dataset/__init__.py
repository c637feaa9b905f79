# SPDX-License-Identifier: GPL-3.0-or-later
"""People on disk: the shards of others, checked and read, and what training prepares of everybody once."""
