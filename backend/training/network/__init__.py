# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop of the network: batches, losses, checks and the state of a run."""
