# SPDX-License-Identifier: GPL-3.0-or-later
"""A face's animation: sliders, gaze and the head's turn over time, whatever it was read from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

LONGEST = 500_000  # frames that a performance may come to: more is a mistake in its times


@dataclass(frozen=True)
class FacePerformance:
    """Animation of a face: seconds [n] from the start, ascending; arkit [n,52] in 0..1; gaze [n,2,2] radians,
    yaw (to the subject's left) and pitch (up) of the left and the right eye; head [n,3] radians or None, the
    head's yaw, pitch and roll (towards the left shoulder) as it turns against the chest, applied roll first.
    `missed`: pictures without a face; their values are interpolated. `remarks`: one sentence each on what
    could not be read.
    """

    seconds: np.ndarray
    arkit: np.ndarray
    gaze: np.ndarray
    head: np.ndarray | None = None
    missed: int = 0
    remarks: tuple[str, ...] = ()

    def at(self, times: np.ndarray) -> FacePerformance:
        """The same animation at other seconds [m], linear in between, held beyond its ends."""
        return self._changed(lambda values: _between(times, self.seconds, values), seconds=times)

    def at_rate(self, rate: float) -> FacePerformance:
        """The same animation at every 1/rate seconds, from its start to its end."""
        return self.at(np.arange(min(round(self.seconds[-1] * rate), LONGEST) + 1) / rate)

    def smoothed(self, seconds: float) -> FacePerformance:
        """Averaged with a Gaussian of that standard deviation; evenly timed, as `at_rate` makes it."""
        if len(self.seconds) < 2 or seconds <= 0:
            return self
        width = seconds / (self.seconds[1] - self.seconds[0])
        return self._changed(lambda values: gaussian_filter1d(values, width, axis=0, mode="nearest"))

    def from_rest(self) -> FacePerformance:
        """Subtract the first frame as the neutral expression that looks straight ahead."""
        even = self._changed(lambda values: values - values[:1])
        return replace(even, arkit=np.clip(even.arkit, 0, 1))

    def stronger(self, factor: float, offset: float = 0.0) -> FacePerformance:
        """Sliders plus an offset, times a factor, clipped to 0..1."""
        return replace(self, arkit=np.clip((self.arkit + offset) * factor, 0, 1))

    def _changed(self, change, **others) -> FacePerformance:
        head = None if self.head is None else change(self.head)
        return replace(self, arkit=change(self.arkit), gaze=change(self.gaze), head=head, **others)


def _between(times: np.ndarray, known: np.ndarray, values: np.ndarray) -> np.ndarray:
    columns = values.reshape(len(values), -1).T
    return np.stack([np.interp(times, known, column) for column in columns], 1).reshape(-1, *values.shape[1:])
