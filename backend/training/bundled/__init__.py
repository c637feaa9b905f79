# SPDX-License-Identifier: GPL-3.0-or-later
"""Data that ship with the fit of photos, measured on synthetic people: each module writes one file anew."""
