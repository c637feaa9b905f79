# SPDX-License-Identifier: GPL-3.0-or-later
"""The adult human body as one signed-distance function, built from tables of cross sections.

Inside this package lengths are centimetres, x is the subject's left, y up and z forward, the ground at y = 0;
the shape is symmetric, so functions take |x|. `to_metres` leads to the project's axes.
"""
