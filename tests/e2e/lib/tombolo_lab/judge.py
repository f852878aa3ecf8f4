# SPDX-License-Identifier: Apache-2.0
"""The judge: what arrived against what was published. Pure, so that it can be judged itself (test_judge.py).

Words, for the messages 1, 2, 3 ... of one publisher:

    published    handed to the publisher's MQTT client
    acked        its broker said PUBACK (QoS 1) or PUBCOMP (QoS 2)
    delivered    different messages that arrived
    lost         acked, and never arrived
    in doubt     sent, not acked when the connection broke: MQTT has the publisher send it again
    resent       a repeat that its being in doubt explains: at most one for each time that it was in doubt,
                 and none when the publisher numbers its messages
    redelivered  a repeat after the subscriber's own broker was killed, which forgot that it had been acked
    duplicated   every other repeat
    reordered    arrived for the first time after a later one had
    foreign      arrived, and was never published
"""

from dataclasses import dataclass, fields


@dataclass
class Verdict:
    published: int = 0
    acked: int = 0
    delivered: int = 0
    lost: int = 0
    duplicated: int = 0
    resent: int = 0
    reordered: int = 0
    redelivered: int = 0
    foreign: int = 0

    def is_clean(self) -> bool:
        return self.lost == self.duplicated == self.reordered == self.foreign == 0


def total(verdicts) -> Verdict:
    total_of = Verdict()
    for verdict in verdicts:
        for field in fields(Verdict):
            setattr(total_of, field.name, getattr(total_of, field.name) + getattr(verdict, field.name))
    return total_of


class Judge:
    """Judges the arrivals of one publisher one by one. epoch: how often the subscriber's broker had been
    killed when the message arrived."""

    def __init__(self, is_numbered: bool = False):
        self.is_numbered = is_numbered
        self.last_epoch = {}  # number -> epoch of its newest arrival
        self.repeats = {}     # number -> repeats that are not redeliveries
        self.reordered = []
        self.redelivered = 0
        self._highest = 0

    def arrived(self, number: int, epoch: int = 0) -> bool:
        """Takes one arrival; gives whether it was the first of its number."""
        if number not in self.last_epoch:
            self.last_epoch[number] = epoch
            if number < self._highest:
                self.reordered.append(number)
            self._highest = max(self._highest, number)
            return True
        if epoch > self.last_epoch[number]:
            self.last_epoch[number] = epoch
            self.redelivered += 1
        else:
            self.repeats[number] = self.repeats.get(number, 0) + 1
        return False

    def verdict(self, published: int, acked, in_doubt: dict) -> Verdict:
        """published: how many; acked: their numbers; in_doubt: number -> how often it was in doubt."""
        resent = duplicated = 0
        for number, repeats in self.repeats.items():
            excused = 0 if self.is_numbered else min(repeats, in_doubt.get(number, 0))
            resent += excused
            duplicated += repeats - excused
        known = [number for number in self.last_epoch if 1 <= number <= published]
        return Verdict(published=published, acked=len(acked), delivered=len(known),
                       lost=sum(1 for number in acked if number not in self.last_epoch),
                       duplicated=duplicated, resent=resent, reordered=len(self.reordered),
                       redelivered=self.redelivered, foreign=len(self.last_epoch) - len(known))

    def evidence(self, published: int, acked, in_doubt: dict, limit: int = 10) -> str:
        """The numbers behind a verdict that is not clean, for a person."""
        lost = sorted(number for number in acked if number not in self.last_epoch)
        doubled = sorted(number for number, repeats in self.repeats.items()
                         if self.is_numbered or repeats > in_doubt.get(number, 0))
        foreign = sorted(number for number in self.last_epoch if not 1 <= number <= published)
        parts = [f"{what} {numbers[:limit]}{' ...' if len(numbers) > limit else ''}"
                 for what, numbers in (("lost", lost), ("duplicated", doubled),
                                       ("reordered", self.reordered), ("foreign", foreign)) if numbers]
        return "; ".join(parts)


def judge(arrivals, published: int, acked, in_doubt=None, is_numbered: bool = False) -> Verdict:
    """The verdict on a whole list of arrivals: numbers, or (number, epoch)."""
    one = Judge(is_numbered)
    for arrival in arrivals:
        one.arrived(*arrival) if isinstance(arrival, tuple) else one.arrived(arrival)
    return one.verdict(published, acked, in_doubt or {})
