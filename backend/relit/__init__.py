# SPDX-License-Identifier: GPL-3.0-or-later
"""Relit sequences: one performance under many lights, rendered by worker processes, or by a farm."""
