# SPDX-License-Identifier: GPL-3.0-or-later
"""How the photo estimator learns, and how good it is: pictures of people in clutter, losses, the run."""
