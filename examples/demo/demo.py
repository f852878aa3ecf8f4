# SPDX-License-Identifier: Apache-2.0
"""The demo: a hub and three sites on this machine's loopback, broken on purpose while they publish.

What it shows is counted by publishers and by an independent subscriber at the hub, from the numbers in the
payloads. Nothing is asked of Tombolo itself. The fleet is put together by tests/e2e/lib/tombolo_lab.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e/lib"))

import line  # noqa: E402
import sensors  # noqa: E402
import weather  # noqa: E402
from screen import Row, Screen  # noqa: E402
from tombolo_lab import Lab, Ledger, Publisher, programs  # noqa: E402

SITES = ("machine", "weather", "line")
DRAIN_S = 60
JSON_KEYS = ("published", "acked", "delivered", "lost", "duplicated", "resent", "reordered")


@dataclass
class Fault:
    """Something broken and healed, and how long its sites then needed to catch up."""
    sites: tuple
    healed_at: float
    what: str
    caught_up_s: float = None


class Forgetful(Ledger):
    """Numbers messages and keeps nothing: for what goes on for days."""

    def __init__(self):
        super().__init__()
        self._counts = {}

    def sent(self, account) -> int:
        self._counts[account.name] = self._counts.get(account.name, 0) + 1
        return self._counts[account.name]

    def acked(self, account, number) -> None:
        pass

    def doubted(self, account, numbers) -> None:
        pass


class Demo:
    def __init__(self, options, screen: Screen, lab: Lab, table: list):
        self.options, self.screen, self.lab = options, screen, lab
        self.hub = lab.node("hub", has_children=True)
        self.sites = {name: lab.node(name, parent=self.hub) for name in SITES}
        self.state = {name: "" for name in SITES}
        self.faults, self.publishers, self.deaths = [], [], []
        self.ear = None
        scale = options.scale or max(0.05, min(1.0, (os.cpu_count() or 1) / 8))
        self.sources = {"machine": sensors.publishers(), "weather": weather.publishers(table),
                        "line": line.publishers(options.seed, scale)}

    # The plan.

    def plan(self) -> list:
        """(when, what to do), in the order of time; everything is healed by two thirds of the time."""
        length = self.options.seconds
        cut_s = min(20.0, length / 3)
        cut_at, kill_at, hub_at = 0.1 * length, 0.2 * length, max(0.1 * length + cut_s + 2, 0.55 * length)
        steps = [(cut_at, self.cut), (cut_at + cut_s, self.heal),
                 (kill_at, self.kill_broker), (kill_at + 2, self.restart_broker),
                 (hub_at, self.kill_hub), (hub_at + 2, self.restart_hub)]
        return sorted(steps, key=lambda step: step[0])

    def cut(self):
        self.lab.links["line"].cut("blackhole")
        self.state["line"] = "link cut"
        self.screen.event("line: its link to the hub is cut", "bad")

    def heal(self):
        self.lab.links["line"].heal()
        self.state["line"] = ""
        self.screen.event("line: its link is healed", "good")
        self.faults.append(Fault(("line",), time.monotonic(), "line has caught up after the cut"))

    def kill_broker(self):
        # At the worst moment: while a message of the publisher that numbers its own is on its way.
        numbered = next(p for p in self.publishers if p.account.is_numbered)
        end = time.monotonic() + 2
        while not numbered.in_flight and time.monotonic() < end:
            time.sleep(0)
        pid = self.sites["machine"].broker.kill9()
        self.state["machine"] = "broker killed"
        self.screen.event(f"machine: kill -9 {pid}, its broker", "bad")

    def restart_broker(self):
        self.sites["machine"].broker.start(wait=False)
        self.state["machine"] = ""
        self.screen.event("machine: its broker is started again", "good")
        self.faults.append(Fault(("machine",), time.monotonic(),
                                 "machine has caught up after the kill of its broker"))

    def kill_hub(self):
        pid = self.hub.syncd.kill9()
        self.state.update({name: "hub's daemon killed" for name in SITES})
        self.screen.event(f"hub: kill -9 {pid}, its tombolo-syncd", "bad")

    def restart_hub(self):
        self.hub.syncd.start()
        self.state.update({name: "" for name in SITES})
        self.screen.event("hub: its tombolo-syncd is started again", "good")
        self.faults.append(Fault(SITES, time.monotonic(), "all have caught up after the kill of the hub's daemon"))

    # The run.

    def run(self) -> None:
        self.lab.start()
        self.ear = self.lab.subscribe(self.hub, "independent-subscriber")
        self.screen.say(f"Running: the hub and the sites {', '.join(SITES)}, each a Mosquitto with the plugin and a "
                        f"tombolo-syncd.")
        self.screen.say(f"Publishing for {self.options.seconds:g} s (seed {self.options.seed}): "
                        f"{sum(len(of) for of in self.sources.values())} publishers, MQTT 3.1.1 and 5, QoS 1 and 2.")
        self.screen.say()
        self.screen.begin()
        begin = time.monotonic()
        for site, publishers in self.sources.items():
            for name, (source, how) in publishers.items():
                self.publishers.append(self.lab.publish(self.sites[site], f"{site}-{name}", source, **how))
        steps = self.plan()
        while time.monotonic() - begin < self.options.seconds or steps:
            while steps and time.monotonic() - begin >= steps[0][0]:
                steps.pop(0)[1]()
            self.turn()
        for publisher in self.publishers:
            publisher.finish()
        self.screen.event("the publishers stop; waiting for what is under way")
        end = time.monotonic() + DRAIN_S
        while time.monotonic() < end and not self.is_drained():
            self.turn()
        time.sleep(0.5)  # a repeat that is still under way shall be counted
        self.turn()
        self.screen.event("everything acknowledged is at the hub" if self.is_drained() else
                          f"giving up after {DRAIN_S} s", "good" if self.is_drained() else "bad")

    def is_drained(self) -> bool:
        return not any(p.is_alive() for p in self.publishers) and self.lab.ledger.waiting()[0] == 0 and \
            all(fault.caught_up_s is not None for fault in self.faults)

    def turn(self) -> None:
        for fault in self.faults:
            if fault.caught_up_s is None and not self.is_behind(fault):
                fault.caught_up_s = time.monotonic() - fault.healed_at
                self.screen.event(f"{fault.what}: {fault.caught_up_s:.1f} s", "good")
        for daemon in self.daemons():
            if daemon.starts and not daemon.is_alive() and not self.is_meant(daemon) and \
                    daemon.name not in self.deaths:
                self.deaths.append(daemon.name)
                self.screen.event(f"{daemon.name} ended by itself:\n{daemon.tail()}", "bad")
        self.screen.live(self.rows())
        time.sleep(0.1)

    def is_behind(self, fault: Fault) -> bool:
        """Whether something from before the healing is still to be sent, acknowledged or delivered."""
        return any(self.lab.ledger.has_waiting_since(fault.healed_at, site) for site in fault.sites) or any(
            p.is_alive() and p.account.site in fault.sites and p.is_behind(fault.healed_at) for p in self.publishers)

    def daemons(self) -> list:
        nodes = [self.hub, *self.sites.values()]
        return [node.broker.daemon for node in nodes] + [node.syncd for node in nodes]

    def is_meant(self, daemon) -> bool:
        return (daemon is self.hub.syncd and self.state["weather"] != "") or \
            (daemon is self.sites["machine"].broker.daemon and self.state["machine"] != "")

    def rows(self) -> list:
        found = []
        for site in SITES:
            published, acked, delivered = self.lab.ledger.counts(site)
            waiting, oldest_s = self.lab.ledger.waiting(site)
            found.append(Row(site, published, acked, delivered, waiting, oldest_s, self.state[site]))
        return found

    # The end.

    def catch_up_s(self, site: str = ""):
        times = [fault.caught_up_s for fault in self.faults
                 if fault.caught_up_s is not None and (not site or site in fault.sites)]
        return max(times, default=None)

    def result(self) -> list:
        ledger = self.lab.ledger
        return [(site or "all", ledger.verdict(site), ledger.longest_wait_s(site), self.catch_up_s(site))
                for site in (*SITES, "")]

    def failures(self) -> list:
        """Everything for which this run must not count as a success."""
        found = [f"{name} ended by itself" for name in self.deaths]
        verdict = self.lab.ledger.verdict()
        if verdict.published != verdict.acked:
            found.append(f"{verdict.published - verdict.acked} messages were never acknowledged")
        if not verdict.acked:
            found.append("nothing was published")
        if self.ear.sessions_lost:
            found.append("the hub's broker forgot the subscriber's session")
        found += [f"{p.name}: {p.failure!r}" for p in self.lab.clients if p.failure]
        return found + self.lab.ledger.evidence().splitlines()

    def report(self) -> bool:
        self.screen.say()
        self.screen.table(self.result())
        self.screen.say()
        payload = sum(p.account.payload_bytes for p in self.publishers)
        wire = sum(link.bytes_up for link in self.lab.links.values())
        if payload:
            self.screen.say(f"{payload / 1e6:.1f} MB of payload took {wire / 1e6:.1f} MB on the wire to the hub, TLS "
                            f"included ({wire / payload:.2f} a byte).")
        numbered = [p for p in self.publishers if p.account.is_numbered]
        for p in numbered:
            doubts = sum(p.account.in_doubt.values())
            self.screen.say(f"{p.name} numbers its messages: {doubts} were in doubt and sent again, "
                            f"{p.account.arrivals - p.account.first_arrivals} arrived twice.")
        failures = self.failures()
        for failure in failures:
            self.screen.say(f"FAILED: {failure}")
        if not failures:
            self.screen.say(self.screen.bold("Nothing lost, nothing duplicated, nothing out of order."))
        return not failures

    def write_json(self, file: str) -> None:
        rows = {site: (verdict, longest_s, catch_up_s) for site, verdict, longest_s, catch_up_s in self.result()}
        table = {site: {key: getattr(verdict, key) for key in JSON_KEYS} for site, (verdict, _, _) in rows.items()}
        waits = {site: {"longest_wait_s": round(longest_s, 3),
                        "catch_up_s": None if catch_up_s is None else round(catch_up_s, 3)}
                 for site, (_, longest_s, catch_up_s) in rows.items()}
        whole = {"seed": self.options.seed, "seconds": self.options.seconds,
                 "sites": {site: table[site] for site in SITES}, "all": table["all"], "waits": waits}
        Path(file).write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")

    def keep(self) -> None:
        ledger, machine = Forgetful(), self.sites["machine"]
        for name, (source, how) in sensors.publishers().items():
            publisher = Publisher(f"machine-{name}-on", "machine", machine.broker.port, ledger, source, **how)
            self.lab.clients.append(publisher)
            publisher.start()
        hub, tls = self.hub, self.hub.certificate
        self.screen.say(f"""
It goes on running, and this machine's sensors go on publishing. In another terminal:

  # hear at the hub what the sites say
  mosquitto_sub -h 127.0.0.1 -p {hub.broker.port} -v -q 1 -t 'machine/#'

  # say something at a site: the hub hears it as line/hello
  mosquitto_sub -h 127.0.0.1 -p {hub.broker.port} -v -q 1 -t 'line/hello' &
  mosquitto_pub -h 127.0.0.1 -p {self.sites['line'].broker.port} -q 1 -t hello -m 'from the line'

  # the hub's other door, over TLS with a certificate
  mosquitto_sub -h 127.0.0.1 -p {hub.broker.tls_port} --cafile {tls.ca_file} \\
      --cert {tls.cert_file} --key {tls.key_file} -v -t 'weather/#' -t 'machine/#'

  # the hub's log
  {self.lab.built.journal} dump -o json {hub.journal_root} default | tail -n 3

Logs, configurations and certificates: {self.lab.folder}
Ctrl-C ends it.""")
        while True:
            signal.pause()


def parse(arguments: list):
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description="Runs a hub and three sites on this machine, each a Mosquitto with the plugin "
        "and a tombolo-syncd; cuts a link, kills a broker and the hub's daemon while they publish; and counts at the "
        "hub what arrived. Exit 0 only when nothing was lost, duplicated or out of order.")
    parser.add_argument("--json", metavar="FILE", help="write the table as JSON too")
    parser.add_argument("--keep", action="store_true", help="leave it running, and say how to talk to it")
    parser.add_argument("--seed", type=int, default=7, help="of the manufacturing line's data (default 7)")
    parser.add_argument("--seconds", type=float, default=60, help="how long to publish (default 60, at least 12)")
    parser.add_argument("--scale", type=float, default=0,
                        help="size of the manufacturing line, 1 is a whole plant's (default: processors / 8)")
    parser.add_argument("--weather", metavar="FILE", help="a CSV file to replay instead of the npm package's: "
                        "the first column a time, the others numbers")
    parser.add_argument("--build", metavar="FOLDER", default=os.environ.get("TMB_BUILD", str(ROOT / "build/demo")),
                        help=argparse.SUPPRESS)
    parser.add_argument("--fetch", action="store_true", help=argparse.SUPPRESS)  # get the data, do nothing else
    options = parser.parse_args(arguments)
    if options.seconds < 12:
        parser.error("--seconds: at least 12, to have the time to break things and to heal them")
    return options


def clear_old(folder: Path) -> None:
    """Removes what a demo that was itself killed could not; its processes died with it."""
    for old in folder.glob("lab-*"):
        pid = old.name[4:]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(old, ignore_errors=True)


def main(arguments: list) -> int:
    options = parse(arguments)
    screen = Screen()
    sys.setswitchinterval(0.0005)  # Python's threads take turns ten times as often: times are truer
    cache = ROOT / ".demo"
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        table = weather.rows(Path(options.weather) if options.weather else weather.fetch(cache))
    except (weather.NoWeather, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    if options.json:
        try:
            Path(options.json).open("a", encoding="utf-8").close()
        except OSError as error:
            print(f"demo: --json {options.json}: {error.strerror}; name a file that can be written", file=sys.stderr)
            return 2
    if options.fetch:
        return 0
    folder = cache / f"lab-{os.getpid()}"
    cache.mkdir(exist_ok=True)
    clear_old(cache)
    lab, is_good, code = None, False, 1
    try:
        lab = Lab(str(folder), domain="demo.example", built=programs(options.build))
        demo = Demo(options, screen, lab, table)
        demo.run()
        is_good = demo.report()
        code = 0 if is_good else 1
        if options.json:
            demo.write_json(options.json)
        if options.keep:
            demo.keep()
    except KeyboardInterrupt:
        code = code if options.keep and is_good else 130
        screen.say()
    except (RuntimeError, TimeoutError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if lab:
            lab.close()
        if code in (0, 130):
            shutil.rmtree(folder, ignore_errors=True)
        elif folder.exists():
            print(f"demo: logs and journals are in {folder}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
