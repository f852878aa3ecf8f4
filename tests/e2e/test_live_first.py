# SPDX-License-Identifier: Apache-2.0
"""live_first: after an outage what is new comes first; what waited follows, marked as late with its own time; nothing is
lost and nothing comes twice, also when daemons are killed in the midst of it.

TMB_SEED, TMB_KILLS (6).
"""

import os
import random
import time
import unittest
from datetime import datetime, timedelta, timezone

from tombolo_lab import Ear, Lab, Talker, journal
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings

SEED = int(os.environ.get("TMB_SEED") or random.SystemRandom().randrange(1 << 32))
KILLS = int(os.environ.get("TMB_KILLS", "6"))
BACKLOG = 3000
FAST = {"backoff_base": "50ms", "backoff_cap": "300ms"}


def user_properties(message) -> dict:
    return dict(getattr(message.properties, "UserProperty", None) or ())


class LiveFirstCase(unittest.TestCase):
    ack_timeout = "10s"  # longer than a process stands still: a session that is lost is another outage

    def setUp(self):
        print(f"seed {SEED}", flush=True)
        self.draw = random.Random(SEED)
        self.lab = Lab()
        streams = (("meters", '["#"]', "process\n    live_first: true"),)
        self.hub = self.lab.node("hub", has_children=True,
                                 settings=Settings(streams=(("meters", '["#"]', "process"),)))
        self.s1 = self.lab.node("s1", parent=self.hub,
                                settings=Settings(streams=streams, batch_bytes="4KiB", ack_timeout=self.ack_timeout,
                                                  **FAST))
        self.is_well = False
        self.addCleanup(lambda: self.lab.close(failed=not self.is_well))
        self.number = 0

    def begin(self, bytes_per_s: int):
        self.s1.link.throttle(bytes_per_s)
        self.lab.start()
        self.ear = Ear("ear", self.hub.broker.port)
        self.addCleanup(self.ear.halt)

    def say(self, talker, count: int) -> None:
        """QoS 0 but for the last: its ack says that all are taken."""
        for k in range(count):
            payload = b"%06d" % self.number + self.draw.randbytes(60)
            self.assertEqual(talker.publish("t", payload, 1 if k == count - 1 else 0), 0)
            self.number += 1

    def heard(self) -> list:
        return [int(message.payload[:6]) for message in self.ear.of("s1/t")]

    def wait_for_all(self, timeout_s: float = 90) -> None:
        wait_until(lambda: len(set(self.heard())) == self.number, timeout_s,
                   lambda: f"{len(set(self.heard()))} of {self.number}\n{self.s1.told()}\n{self.lab.logs(60)}")

    def outage(self, talker, count: int = BACKLOG) -> None:
        self.s1.link.cut("reset")
        self.say(talker, count)
        wait_until(lambda: self.waiting() >= count, 30, lambda: f"the daemon to see the backlog: {self.s1.told()}")
        self.s1.link.heal()

    def waiting(self) -> int:
        return sum(stream["waiting"] for stream in self.s1.told().get("streams", {}).values())

    def live(self) -> dict:
        return self.s1.told().get("live", {})

    def check_log(self) -> None:
        """The hub's log is the witness: each record once, in each lane in order."""
        records = [r for r in journal.dump(self.hub, self.lab.built, "meters") if r["topic"] == "s1/t"]
        numbers = [int(journal.payload_of(r)[:6]) for r in records]
        self.assertEqual(sorted(numbers), list(range(self.number)), "lost or twice in the hub's log")
        for lane in ("meters", "meters.live"):
            seqs = [r["origin"]["seq"] for r in records if r["origin"]["stream"] == lane]
            self.assertEqual(seqs, sorted(set(seqs)), f"{lane} does not rise")


class LiveFirstTest(LiveFirstCase):
    def carried(self) -> dict:
        """Bytes that the hub took from s1, by pool."""
        wait_until(lambda: "s1" in self.hub.told().get("children", {}), 30, lambda: f"the hub to tell: {self.hub.told()}")
        credit = self.hub.told()["children"]["s1"]["credit"]
        return {pool: credit[pool]["used_bytes"] for pool in ("live", "backlog")}

    def test_the_backlog_of_each_outage_is_one(self):
        """To the parent, too, which lets live data go first: it is paid as a backlog, also when ranges went ahead before."""
        self.begin(50_000)
        with Talker(self.s1.broker.port, "talker") as talker:
            self.say(talker, 5)
            self.wait_for_all()
            for _ in range(2):
                time.sleep(1.5)  # what it tells is a second old
                before = self.carried()
                self.outage(talker)
                self.wait_for_all()
                time.sleep(1.5)
                after = self.carried()
                live, backlog = (after[pool] - before[pool] for pool in ("live", "backlog"))
                print(f"live {live} bytes, backlog {backlog} bytes", flush=True)
                self.assertGreater(backlog, 10 * live, self.lab.logs())
        self.assertEqual(len(self.heard()), self.number)
        self.is_well = True

    def test_new_records_come_before_the_backlog(self):
        self.begin(50_000)
        with Talker(self.s1.broker.port, "talker") as talker:
            self.say(talker, 5)
            self.wait_for_all()
            self.assertEqual([user_properties(m) for m in self.ear.of("s1/t")], [{}] * 5)
            began = datetime.now(timezone.utc)
            self.outage(talker)
            ended = datetime.now(timezone.utc)
            wait_until(lambda: len(self.heard()) > 5, 30, lambda: f"the backlog to begin\n{self.lab.logs(60)}")
            fresh = self.number
            # Forged: taken off where it enters.
            self.assertEqual(talker.publish("t", b"%06d" % fresh, 1, UserProperty=[
                ("tombolo-late", "1"), ("tombolo-time", "2001-01-01T00:00:00.000Z"), ("mine", "1")]), 0)
            self.number += 1
            heard = len(self.heard())  # when it was acked: of those that waited then it overtakes the more
            self.assertLess(heard, BACKLOG * 0.9, "there is no backlog any more: nothing is shown")
            wait_until(lambda: fresh in self.heard(), 30, lambda: f"the new record\n{self.lab.logs(60)}")
            place = self.heard().index(fresh)
            print(f"the new record was number {place} of {self.number}; {heard} were there before", flush=True)
            self.assertLess(place - heard, (BACKLOG - heard) * 0.6)
            self.wait_for_all()
        messages = {int(message.payload[:6]): message for message in self.ear.of("s1/t")}
        self.assertEqual(len(self.heard()), self.number, "something came twice")
        self.assertEqual(user_properties(messages[fresh]), {"mine": "1"})
        late = [n for n in self.heard() if n != fresh]
        self.assertEqual(late, sorted(late), "the backlog is out of order")
        for n in late[5:]:
            told = user_properties(messages[n])
            self.assertEqual(told.get("tombolo-late"), "1", f"record {n}: {told}")
            born = datetime.strptime(told["tombolo-time"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
            slack = timedelta(seconds=1)
            self.assertTrue(began - slack <= born <= ended + slack, f"record {n} was not born at {born}")
        wait_until(lambda: self.live().get("jumps") == 1, 30, lambda: f"one jump: {self.live()}")
        self.assertEqual(sum(self.s1.told()["gaps"].values()), 0, "what went ahead was told as lost")
        wait_until(lambda: self.waiting() == 0, 30, lambda: f"nothing to wait: {self.s1.told()}")
        self.check_log()
        self.is_well = True


class KillsTest(LiveFirstCase):
    ack_timeout = "2s"

    def test_kills_in_the_midst_of_it(self):
        self.begin(100_000)
        with Talker(self.s1.broker.port, "talker") as talker:
            self.say(talker, 5)
            self.wait_for_all()
            for _ in range(2):
                self.outage(talker, BACKLOG // 2)
                for _ in range(KILLS // 2):
                    before = len(self.heard())
                    self.say(talker, 20)
                    wait_until(lambda before=before: len(self.heard()) > before + 30 or
                               len(set(self.heard())) == self.number, 60,
                               lambda: f"progress\n{self.s1.told()}\n{self.lab.logs(60)}")
                    self.say(talker, 20)
                    time.sleep(self.draw.uniform(0, 0.2))
                    victim = self.draw.choice((self.s1.syncd, self.s1.syncd, self.hub.syncd))
                    victim.kill9()
                    if self.draw.random() < 0.5:
                        self.say(talker, 300)  # a small outage of its own: enough to jump again
                    victim.start()
            self.say(talker, 20)
            self.wait_for_all(90)
        self.check_log()
        wait_until(lambda: self.live().get("ranges", 0) >= 1, 30, lambda: f"a range: {self.live()}")
        print(f"{self.number} records, {self.live()}", flush=True)
        self.is_well = True


if __name__ == "__main__":
    unittest.main()
