# SPDX-License-Identifier: Apache-2.0
"""A seeded factory line: robot arms that report six joints, ten readings of each, once a second as JSON.

About 1 KB a message; angles and torques wander, so it compresses as telemetry does, not as zeros do.
"""

import json
import random

from tombolo_lab import Message

JOINTS = 6
READINGS = 10


class Source:
    """An iterator of messages for one Publisher, that knows how many payload bytes it has given out."""

    def __init__(self, publisher: str, *, seed: int, arms: int, seconds: int, is_paced: bool):
        self.messages = 0
        self.payload_bytes = 0
        self._publisher, self._pause = publisher, 1.0 / arms if is_paced else 0.0
        self._draw = random.Random(seed)
        self._arms = [[(self._draw.uniform(-180, 180), self._draw.uniform(0, 40), self._draw.uniform(30, 60))
                       for _ in range(JOINTS)] for _ in range(arms)]
        self._total = arms * seconds

    @property
    def is_over(self) -> bool:
        return self.messages == self._total

    def __iter__(self):
        return self

    def __next__(self) -> Message:
        if self.is_over:
            raise StopIteration
        second, arm = divmod(self.messages, len(self._arms))
        body = {"t": 1700000000000 + second * 1000, "arm": arm, "joints": self._read(arm)}
        self.messages += 1
        self.payload_bytes += len(json.dumps({"p": self._publisher, "n": self.messages, **body},
                                             separators=(",", ":")))
        return Message(f"line/arm/{arm:03d}/joints", body, self._pause)

    def _read(self, arm: int) -> list:
        joints = []
        for index, (angle, torque, heat) in enumerate(self._arms[arm]):
            angles, torques = [], []
            for _ in range(READINGS):
                angle += self._draw.gauss(0, 0.8)
                torque += self._draw.gauss(0, 0.3)
                angles.append(round(angle, 2))
                torques.append(round(torque, 2))
            heat += self._draw.gauss(0, 0.05)
            self._arms[arm][index] = (angle, torque, heat)
            joints.append({"pos": angles, "torque": torques, "temp": round(heat, 1)})
        return joints
