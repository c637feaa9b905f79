# SPDX-License-Identifier: GPL-3.0-or-later
"""People in photos: body, face and hand landmarks by MediaPipe's networks, run in torch."""
