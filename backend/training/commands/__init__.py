# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of `lca` that train, measure and make synthetic people, one module each."""
