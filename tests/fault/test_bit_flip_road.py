# SPDX-License-Identifier: Apache-2.0
"""Files of a site and of its parent go bad while both are stopped, with messages on their way: the journals, the
stores of the daemons, marks, statistics, checkpoints. Then both are started.

What was acked at the site and is not in the damaged bytes arrives, each message once; the daemons stay up.

TMB_SEED. TMB_LONG=1: more places in each file.
"""

import os
import random
import shutil
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import damage
from two_nodes import TwoNodes

SEED = int(os.environ.get("TMB_SEED") or random.SystemRandom().randrange(1 << 32))
PLACES = 12 if os.environ.get("TMB_LONG") else 1


class RoadTest(unittest.TestCase):
    def setUp(self):
        print(f"seed {SEED}", flush=True)
        self.folder = Path(tempfile.mkdtemp(prefix="tombolo-fliproad-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.draw = random.Random(SEED)

    def excused(self, nodes: TwoNodes, path: Path, where: int, is_cut: bool) -> set:
        if path.suffix != ".seg":
            return set()
        gone = [body for begin, end, body in damage.records_of(path)
                if (end > where if is_cut else begin <= where < end)]
        return {payload for payload in nodes.was_acked for body in gone if body.endswith(payload)}

    def run_case(self, nodes: TwoNodes, place: Path, share: float, bit: int) -> str:
        """place: of a file in the folder of both nodes; share: where in it; bit < 0: it ends there."""
        nodes.put_back()
        path = nodes.lab.folder / place
        where = int(share * path.stat().st_size)
        excused = self.excused(nodes, path, where, bit < 0)
        if bit < 0:
            damage.cut(path, where)
        else:
            damage.flip(path, where, bit)
        try:
            nodes.lab.start()
            nodes.publish(5)
            found = [nodes.wait_for_all(excused)] + nodes.complaints()
            if nodes.ends:
                found.append(f"daemons ended: {dict(nodes.ends)}")
        except Exception as error:  # pylint: disable=broad-except
            found = [f"{type(error).__name__}: {error}"]
        logs = nodes.lab.logs(8)
        nodes.stop()
        found = [text for text in found if text]
        what = f"cut at {where}" if bit < 0 else f"bit {bit} of byte {where}"
        return f"{place}, {what}: {'; '.join(found)}\n{logs}" if found else ""

    def test_every_file_of_both(self):
        lanes = [TwoNodes(self.folder / f"lane-{number}") for number in range(2)]
        for nodes in lanes:
            self.addCleanup(nodes.close)
        places = [place for place in damage.files_below(lanes[0].kept) if place.parts[1] == "data"]
        shapes = {str(place) for nodes in lanes for place in damage.files_below(nodes.kept)}
        names = {place.name for place in places}
        self.assertTrue({"identity", "checkpoint", "CURRENT", "uplink.marks"} <= names, names)
        cases = [(place, self.draw.random(), bit) for place in places if str(place) in shapes
                 for bit in [self.draw.randrange(8) for _ in range(PLACES)] + [-1] * PLACES]

        def run_lane(number: int) -> list:
            return [self.run_case(lanes[number], *case) for case in cases[number::2]
                    if (lanes[number].kept / case[0]).exists()]

        with ThreadPoolExecutor(2) as pool:
            done = [told for lane in pool.map(run_lane, range(2)) for told in lane]
        told = [text for text in done if text]
        print(f"{len(done)} cases in {len(places)} files", flush=True)
        self.assertGreater(len(done), len(places))
        self.assertEqual(told, [], "\n".join(told))


if __name__ == "__main__":
    unittest.main()
