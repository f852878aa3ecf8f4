# SPDX-License-Identifier: Apache-2.0
"""A dictionary is trained from a stream, carried once, and used: also after a restart of either side; a parent that
has lost it is sent it again. Nothing is lost by any of that."""

import itertools
import shutil
import unittest

from tombolo_lab import Lab, Message
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings


def readings():
    """Each in a batch of its own: what a small node says. Much that is always the same, and little that is not."""
    for n in itertools.count():
        body = {"machine": "press-7/hydraulics", "unit": "bar", "quality": "good", "operator": "none",
                "reading": {"value": round(180 + (n * 37 % 23) / 7, 2), "limit_low": 150.0, "limit_high": 210.0}}
        yield Message(f"hall-3/press-7/hydraulics/pressure/{n % 3}", body, 0.02)


class Dictionaries(unittest.TestCase):
    def counts(self) -> tuple:
        told = self.site.told()
        return told.get("dictionaries", 0), told.get("batches_with_dictionary", 0)

    def wait_used(self, sent: int, more_than: int, why: str) -> None:
        wait_until(lambda: self.counts()[0] == sent and self.counts()[1] > more_than, 60,
                   lambda: f"{why}: dictionaries sent and batches with one are {self.counts()}\n{self.lab.logs()}")

    def test_trained_carried_once_kept_and_asked_for_again(self):
        with Lab() as lab:
            self.lab = lab
            hub = lab.node("hub", has_children=True)
            self.site = site = lab.node("s1", parent=hub, settings=Settings(stream_lines="    linger: 1ms\n", durability="process"))
            lab.start()
            lab.subscribe(hub)
            publisher = lab.publish(site, "press-7", readings())
            self.wait_used(1, 20, "trained")
            kept = hub.data / "dictionaries" / "s1" / "default"
            own = site.data / "dictionaries" / ".own" / "default"
            self.assertEqual(kept.read_bytes(), own.read_bytes())
            self.assertLess(kept.stat().st_size, 9000)

            site.syncd.stop()
            (site.data / "syncd.json").unlink()
            site.syncd.start()
            self.wait_used(0, 20, "the child was restarted")

            hub.syncd.stop()
            hub.syncd.start()
            _, before = self.counts()
            self.wait_used(0, before + 20, "the parent was restarted")

            hub.syncd.kill9()
            shutil.rmtree(hub.data / "dictionaries")
            hub.syncd.start()
            _, before = self.counts()
            self.wait_used(1, before + 20, "the parent has lost it")
            self.assertEqual(kept.read_bytes(), own.read_bytes())

            kept.write_bytes(kept.read_bytes()[:-1] + b"?")  # damaged is as good as lost
            hub.syncd.kill9()
            hub.syncd.start()
            _, before = self.counts()
            self.wait_used(2, before + 20, "the parent's is damaged")

            lab.wait_acked([publisher])
            lab.wait_drained()
            verdict = lab.ledger.verdict()
            self.assertTrue(verdict.is_clean(), lab.ledger.evidence())
            self.assertNotIn("malformed", "".join(file.read_text(encoding="utf-8") for file in
                                                  (hub.folder / "syncd.log", site.folder / "syncd.log")))


if __name__ == "__main__":
    unittest.main()
