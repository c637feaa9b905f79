# SPDX-License-Identifier: GPL-3.0-or-later
"""Training and evaluating the network on synthetic people."""
