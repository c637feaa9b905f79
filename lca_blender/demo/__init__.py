# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo, without a window: from photos to an animated and rendered avatar."""
