# SPDX-License-Identifier: GPL-3.0-or-later
"""From fitted photos to this person: surface, colours and Gaussians as photographed."""
