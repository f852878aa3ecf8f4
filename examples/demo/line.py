# SPDX-License-Identifier: Apache-2.0
"""A smart-manufacturing line, seeded, scaled down from a plant's.

At scale 1, and about 1.4 MB/s: 150 robot arms with 6 joints (position, torque, temperature at 10 Hz, a batch a
second), 12 PLCs with 200 tags twice a second, 8 cameras with two 40 KB pictures a second, 20 vibration
sensors with a 20 KB window a second. The demo runs an eighth of it for each processor of the machine.
"""

import base64
import math
import random

from tombolo_lab import Message


def _shuffled(things, draw) -> list:
    things = list(things)
    draw.shuffle(things)
    return things


def arms(count: int, draw: random.Random):
    """Ten samples of each joint a second, in one message an arm."""
    heat = [30 + 10 * draw.random() for _ in range(count)]
    second = 0
    while True:
        for arm in _shuffled(range(count), draw):
            heat[arm] += draw.gauss(0, 0.05)
            joints = [{"pos": [round(math.sin(second + step / 10 + joint) * 90, 2) for step in range(10)],
                       "torque": [round(draw.gauss(12, 2), 2) for _ in range(10)],
                       "temp": round(heat[arm] + joint / 2, 1)} for joint in range(6)]
            yield Message(f"line/arm/{arm}", {"s": second, "joints": joints}, 1 / count)
        second += 1


def plcs(count: int, draw: random.Random):
    tags = [[draw.randrange(1000) for _ in range(200)] for _ in range(count)]
    while True:
        for plc in _shuffled(range(count), draw):
            for tag in draw.sample(range(200), 40):
                tags[plc][tag] += draw.randrange(-3, 4)
            yield Message(f"line/plc/{plc}", {"tags": {f"DB1.DBW{2 * tag}": value for tag, value in
                                                       enumerate(tags[plc])}}, 0.5 / count)


def pictures(cameras: int, draw: random.Random):
    """JPEG does not compress, nor does noise: 40 KB of it, with the verdict of an inspection."""
    part = 0
    while True:
        for camera in range(cameras):
            part += 1
            yield Message(f"line/camera/{camera}",
                          {"part": part, "ok": draw.random() > 0.02,
                           "jpeg": base64.b64encode(draw.randbytes(30_000)).decode()}, 0.5 / cameras)


def vibration(count: int, draw: random.Random):
    """A window of 20 KB: a tone, its harmonics and noise."""
    while True:
        for sensor in range(count):
            tone = 40 + 5 * sensor + draw.random()
            window = [round(1000 * math.sin(2 * math.pi * tone * i / 4000) + draw.gauss(0, 30))
                      for i in range(4000)]
            yield Message(f"line/vibration/{sensor}", {"hz": 4000, "window": window}, 1 / count)


def publishers(seed: int, scale: float) -> dict:
    def scaled(count: int) -> int:
        return max(1, round(count * scale))

    return {
        "arms": (arms(scaled(150), random.Random(f"{seed} arms")), {"version": 5}),
        "plcs": (plcs(scaled(12), random.Random(f"{seed} plcs")), {"version": 4}),
        "cameras": (pictures(scaled(8), random.Random(f"{seed} cameras")), {"version": 5}),
        "vibration": (vibration(scaled(20), random.Random(f"{seed} vibration")), {"version": 4}),
    }
