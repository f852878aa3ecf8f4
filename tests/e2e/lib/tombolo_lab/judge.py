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
    redelivered  a repeat of a message from before the subscriber's own broker was killed, which then forgot what
                 had been acked: at most twice for each copy (from the broker's snapshot, and from the journal),
                 and only of what had arrived after the broker's last checkpoint before the kill
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
    killed when the message arrived; is_older: it was sent before the last of these kills; is_settled: it
    had arrived before the checkpoint from which the broker came back, which must not give it again."""

    def __init__(self, is_numbered: bool = False):
        self.is_numbered = is_numbered
        self.first_epoch = {}  # number -> epoch of its first arrival
        self.repeats = {}      # number -> {epoch: later arrivals}
        self.settled = {}      # number -> repeats of what was settled
        self.reordered = []
        self._older = set()    # first came after a kill, and was sent before it
        self._highest = 0

    def arrived(self, number: int, epoch: int = 0, is_older: bool = False,
                is_settled: bool = False) -> bool:
        """Takes one arrival; gives whether it was the first of its number."""
        if number in self.first_epoch and is_settled:
            self.settled[number] = self.settled.get(number, 0) + 1
            return False
        if number in self.first_epoch:
            of_number = self.repeats.setdefault(number, {})
            of_number[epoch] = of_number.get(epoch, 0) + 1
            return False
        self.first_epoch[number] = epoch
        if is_older:
            self._older.add(number)
        if number < self._highest:
            self.reordered.append(number)
        self._highest = max(self._highest, number)
        return True

    def _sort_repeats(self, number: int, in_doubt: dict) -> tuple:
        """(resent, redelivered, duplicated) of one number."""
        doubt = 0 if self.is_numbered else in_doubt.get(number, 0)
        settled = self.settled.get(number, 0)
        resent, redelivered, duplicated = min(settled, doubt), 0, max(0, settled - doubt)
        for epoch, repeats in self.repeats.get(number, {}).items():
            is_first = epoch == self.first_epoch[number]
            if is_first and number not in self._older:
                resent += min(repeats, doubt)
                duplicated += max(0, repeats - doubt)
            else:
                allowed = 2 * (1 + doubt) - (1 if is_first else 0)
                redelivered += min(repeats, allowed)
                duplicated += max(0, repeats - allowed)
        return resent, redelivered, duplicated

    def verdict(self, published: int, acked, in_doubt: dict) -> Verdict:
        """published: how many; acked: their numbers; in_doubt: number -> how often it was in doubt."""
        sorted_repeats = [self._sort_repeats(number, in_doubt) for number in self.repeats | self.settled]
        resent, redelivered, duplicated = (sum(column) for column in zip((0, 0, 0), *sorted_repeats))
        known = [number for number in self.first_epoch if 1 <= number <= published]
        return Verdict(published=published, acked=len(acked), delivered=len(known),
                       lost=sum(1 for number in acked if number not in self.first_epoch),
                       duplicated=duplicated, resent=resent, reordered=len(self.reordered),
                       redelivered=redelivered, foreign=len(self.first_epoch) - len(known))

    def evidence(self, published: int, acked, in_doubt: dict, limit: int = 10) -> str:
        """The numbers behind a verdict that is not clean, for a person."""
        lost = sorted(number for number in acked if number not in self.first_epoch)
        doubled = sorted(number for number in self.repeats | self.settled if self._sort_repeats(number, in_doubt)[2])
        foreign = sorted(number for number in self.first_epoch if not 1 <= number <= published)
        parts = [f"{what} {numbers[:limit]}{' ...' if len(numbers) > limit else ''}"
                 for what, numbers in (("lost", lost), ("duplicated", doubled),
                                       ("reordered", self.reordered), ("foreign", foreign)) if numbers]
        return "; ".join(parts)


def judge(arrivals, published: int, acked, in_doubt=None, is_numbered: bool = False) -> Verdict:
    """The verdict on a whole list of arrivals: numbers, or (number, epoch, is_older, is_settled)
    of which only the number must be there."""
    one = Judge(is_numbered)
    for arrival in arrivals:
        one.arrived(*arrival) if isinstance(arrival, tuple) else one.arrived(arrival)
    return one.verdict(published, acked, in_doubt or {})
