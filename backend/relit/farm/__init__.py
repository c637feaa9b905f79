# SPDX-License-Identifier: GPL-3.0-or-later
"""A job as render farms take it: a folder with all that it needs, and the job in their own words."""
