# SPDX-License-Identifier: Apache-2.0
"""State between nodes: site and hub, two sites through a hub, three tiers, a fall-back, shares that are read only."""

import json
import shutil
import time
import unittest

from tombolo_lab import Lab, StateClient
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings


def hub_settings(more="", scopes='"*"', **options):
    return Settings(state=f"  scopes: [ {scopes} ]\n{more}", **options)


class SyncTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def start(self):
        self.lab.start()
        for node in self.lab.nodes.values():
            node.syncd.wait_for_log("state.broker_up")

    def client(self, node, name="", **options):
        client = StateClient(node, name, **options).start()
        self.addCleanup(client.close)
        return client

    def wait_equal(self, clients, scope, timeout_s=30):
        """Values of a scope are the same at all of them."""
        def values(client):
            return {topic: client.get(topic) for topic in list(client.values)
                    if topic.startswith(scope + "/") and not topic.endswith("/conflicts")}
        wait_until(lambda: all(values(c) == values(clients[0]) for c in clients), timeout_s,
                   lambda: f"equal values: {[values(c) for c in clients]}\n{self.lab.logs(30)}")
        return values(clients[0])


class TwoTest(SyncTest):
    def setUp(self):
        super().setUp()
        self.hub = self.lab.node("hub", has_children=True, settings=hub_settings())
        self.site = self.lab.node("s1", parent=self.hub, settings=Settings(state="  scopes: [ s1 ]\n"))
        self.start()
        self.at_hub, self.at_site = self.client(self.hub), self.client(self.site)

    def test_both_ways(self):
        self.at_site.say("s1/parts/inc", "3")
        self.at_hub.wait("s1/parts", 3)
        self.at_hub.say("s1/speed/set", "80")
        self.at_site.wait("s1/speed", 80)

    def test_both_write_during_a_cut(self):
        self.at_site.say("s1/orders/add", '["wo-1","wo-2","wo-3"]')
        self.at_site.say("s1/speed/set", "10")
        self.at_site.say("s1/old/set", "1")
        self.at_site.say("s1/parts/inc", "1")
        for path, value in (("orders", ["wo-1", "wo-2", "wo-3"]), ("speed", 10), ("old", 1), ("parts", 1)):
            self.at_hub.wait(f"s1/{path}", value)
        self.site.link.cut()
        self.at_site.say("s1/orders/rm", "wo-1")
        self.at_site.say("s1/orders/add", "wo-4")
        self.at_site.say("s1/parts/inc", "10")
        self.at_site.say("s1/old/del")
        self.at_site.say("s1/speed/set", "20")
        self.at_hub.say("s1/orders/rm", "wo-2")
        self.at_hub.say("s1/orders/add", '["wo-1","wo-5"]')  # it comes back: added while it was removed
        self.at_hub.say("s1/parts/inc", "100")
        self.at_hub.say("s1/speed/set", "30")
        self.at_hub.wait("s1/parts", 101)
        self.at_site.wait("s1/parts", 11)
        self.at_hub.wait("s1/speed", 30)  # the last that each says: applied behind the meeting, none would be beside another
        self.at_site.wait("s1/speed", 20)
        self.site.link.heal()
        self.at_site.wait("s1/parts", 111, 30)
        self.at_hub.wait("s1/parts", 111)
        values = self.wait_equal([self.at_site, self.at_hub], "s1")
        self.assertEqual(values["s1/orders"], ["wo-1", "wo-3", "wo-4", "wo-5"])
        self.assertIn(values["s1/speed"], (20, 30))
        self.assertNotIn("s1/old", values)
        wait_until(lambda: all("s1/speed/conflicts" in c.values for c in (self.at_site, self.at_hub)), 30,
                   "both values of the register to be shown")
        self.at_site.say("s1/speed/set", "25")
        self.at_hub.wait("s1/speed", 25)
        wait_until(lambda: all("s1/speed/conflicts" not in c.values for c in (self.at_site, self.at_hub)), 30,
                   "the conflict to be over")

    def test_daemons_killed_while_they_sync(self):
        mids = [self.at_site.publish(f"s1/set-{i % 7}/add", f"element-{i}") for i in range(300)]
        mids += [self.at_site.publish("s1/parts/inc", '{"inc":1,"id":"c:%d"}' % (i + 1)) for i in range(300)]
        for node in (self.site, self.hub, self.site, self.hub):
            time.sleep(0.15)
            node.syncd.kill9()
            node.syncd.start()
        wait_until(lambda: self.at_site.acked.issuperset(mids), 30, self.lab.logs)
        self.at_hub.wait("s1/parts", 300, 30)
        values = self.wait_equal([self.at_site, self.at_hub], "s1")
        self.assertEqual(sum(len(v) for k, v in values.items() if "set-" in k), 300)

    def test_what_can_be_seen(self):
        self.at_site.say("s1/parts/inc", "3")
        self.at_hub.wait("s1/parts", 3)
        self.at_site.wait("s1/parts", 3)
        wait_until(lambda: self.told(self.site, "hub").get("report") == "equal" and
                   self.site.told()["merging"]["values"]["published"] >= 1, 30, lambda: str(self.site.told()))
        merging = self.site.told()["merging"]
        self.assertEqual(merging["scopes_count"], 1)
        self.assertEqual(merging["operations"]["verdicts"]["done"], 1)
        self.assertEqual(merging["clock"]["state"], "ok")
        wait_until(lambda: self.told(self.hub, "s1").get("state") == "syncing", 30, lambda: str(self.hub.told()))

    @staticmethod
    def told(node, neighbour):
        return node.told().get("merging", {}).get("scopes", {}).get("s1", {}).get("neighbours", {}).get(neighbour, {})


class RestoredTest(SyncTest):
    def setUp(self):
        super().setUp()
        self.hub = self.lab.node("hub", has_children=True, settings=hub_settings())
        self.site = self.lab.node("s1", parent=self.hub, settings=Settings(state="  scopes: [ s1 ]\n"))
        self.start()
        self.at_hub, self.at_site = self.client(self.hub), self.client(self.site)

    def test_a_backup_of_the_store_of_state(self):
        """Nothing that the hub has is lost or counted twice, and nothing is given twice."""
        store = self.site.data / "state"
        self.at_site.say("s1/parts/inc", "1")
        self.at_hub.wait("s1/parts", 1)
        self.site.syncd.stop()
        shutil.copytree(store, self.site.folder / "backup")
        self.site.syncd.start()
        self.at_site.say("s1/parts/inc", "10")
        self.at_site.say("s1/orders/add", "wo-1")
        self.at_hub.wait("s1/parts", 11)
        self.at_hub.wait("s1/orders", ["wo-1"])
        self.at_site.say("s1/orders/add", "done")
        self.at_hub.wait("s1/orders", ["done", "wo-1"])
        self.at_hub.say("s1/orders/rm", "done")
        self.at_site.wait("s1/orders", ["wo-1"])
        self.site.syncd.stop()
        shutil.rmtree(store)
        (self.site.folder / "backup").rename(store)
        self.at_site.say("s1/parts/inc", "100")  # applied by nobody yet
        self.site.syncd.start()
        self.at_site.say("s1/orders/add", "wo-2")
        for client in (self.at_hub, self.at_site):
            client.wait("s1/parts", 111)
            client.wait("s1/orders", ["wo-1", "wo-2"])
        self.site.syncd.wait_for_log("state.operations_skipped")
        values = self.wait_equal([self.at_site, self.at_hub], "s1")
        self.assertEqual(values, {"s1/orders": ["wo-1", "wo-2"], "s1/parts": 111})

    def test_a_backup_of_all_of_the_data_folder(self):
        self.at_site.say("s1/parts/inc", "1")
        self.at_hub.wait("s1/parts", 1)
        self.site.stop()
        shutil.copytree(self.site.data, self.site.folder / "backup")
        self.site.start()
        self.at_site.say("s1/parts/inc", "10")
        self.at_site.say("s1/orders/add", '["wo-1","wo-2"]')
        self.at_site.say("s1/orders/rm", "wo-2")
        self.at_hub.wait("s1/parts", 11)
        self.at_hub.wait("s1/orders", ["wo-1"])
        self.site.stop()
        shutil.rmtree(self.site.data)
        (self.site.folder / "backup").rename(self.site.data)
        self.site.start()
        self.at_site.say("s1/parts/inc", "100")
        self.at_site.say("s1/orders/add", "wo-3")
        self.at_hub.wait("s1/parts", 111, 30)
        self.at_hub.wait("s1/orders", ["wo-1", "wo-3"], 30)
        self.wait_equal([self.at_site, self.at_hub], "s1")
        self.site.syncd.wait_for_log("state.store_moved")

    def lose_store(self, replace):
        """What was applied is not applied again, and what came after it is: by the copy of the cursor."""
        self.at_site.say("s1/parts/inc", "5")
        self.at_hub.wait("s1/parts", 5)
        self.site.syncd.stop()
        self.at_site.say("s1/parts/inc", "40")  # acknowledged, and applied by nobody yet
        shutil.rmtree(self.site.data / "state")
        replace(self.site.data / "state")
        self.site.syncd.start()
        self.at_site.say("s1/other/inc", "2")
        self.at_hub.wait("s1/other", 2, 30)  # its operation is behind all of the others
        for client in (self.at_hub, self.at_site):
            client.wait("s1/parts", 45)
        values = self.wait_equal([self.at_site, self.at_hub], "s1")
        self.assertEqual(values, {"s1/parts": 45, "s1/other": 2})

    def test_a_lost_store(self):
        def damage(store):
            store.mkdir()
            (store / "CURRENT").write_text("nonsense\n")
        self.lose_store(damage)
        self.site.syncd.wait_for_log("state.store_set_aside")

    def test_a_store_that_is_gone(self):
        self.lose_store(lambda store: None)
        self.site.syncd.wait_for_log("state.journal_went_back")


class ManyTest(SyncTest):
    def test_two_sites_through_a_hub_and_a_scope_that_is_read(self):
        share = ('  share:\n    - { scope: fleet, children: "*", write: true }\n'
                 '    - { scope: rules, children: "*", write: false }\n')
        hub = self.lab.node("hub", has_children=True, settings=hub_settings(share))
        told = ("  scopes: [ fleet, rules ]\n", "  scopes: [ fleet, rules ]\n  read_only: [ rules ]\n")
        sites = [self.lab.node(name, parent=hub, settings=Settings(state=state)) for name, state in
                 zip(("s1", "s2"), told)]
        self.start()
        at = [self.client(node) for node in (hub, *sites)]
        at[1].say("fleet/parts/inc", "1")
        at[2].say("fleet/parts/inc", "2")
        for client in at:
            client.wait("fleet/parts", 3)
        at[0].say("rules/floor/raise", "7")
        for client in at[1:]:
            client.wait("rules/floor", 7)
        at[1].say("rules/floor/raise", "9")  # it may only read
        sites[0].syncd.wait_for_log('report=refused scope=rules neighbour=hub refusal=denied then="what is changed here')
        hub.syncd.wait_for_log('report=denied scope=rules neighbour=s1 then="it may only read')
        time.sleep(1)
        self.assertEqual(at[0].get("rules/floor"), 7)
        self.assertEqual(at[2].get("rules/floor"), 7)
        at[2].say("rules/floor/raise", "11")  # and knows it
        wait_until(lambda: at[2].errors, 30, "an error")
        self.assertEqual(at[2].get("rules/floor"), 7)
        at[2].say("fleet/more/set", "on")
        at[1].wait("fleet/more", b"on")

    def test_a_child_with_too_many_scopes(self):
        """The limit of syncd/daemon/state_peer.h; beyond it scopes are refused, the others go on."""
        limit = 256
        hub = self.lab.node("hub", has_children=True, settings=hub_settings(
            '  share:\n    - { scope: "x*", children: "*", write: true }\n'))
        site = self.lab.node("s1", parent=hub, settings=Settings(state='  scopes: [ "x*" ]\n'))
        self.start()
        at_site, at_hub = self.client(site), self.client(hub)
        for i in range(limit + 4):
            at_site.publish(f"x{i}/n/inc", "1")
        wait_until(lambda: len(at_hub.values) == limit, 40, lambda: f"{len(at_hub.values)}\n{self.lab.logs(30)}")
        hub.syncd.wait_for_log("refusal=limit")
        site.syncd.wait_for_log("refusal=limit")
        time.sleep(0.5)
        self.assertEqual(len(at_hub.values), limit)
        at_hub.say(f"{sorted(at_hub.values)[0]}/inc", "1")
        wait_until(lambda: at_site.get(sorted(at_hub.values)[0]) == 2, 30, self.lab.logs)

    def test_three_tiers(self):
        region = self.lab.node("region", has_children=True, settings=hub_settings(
            '  share:\n    - { scope: s1, children: hub, write: true }\n'))
        hub = self.lab.node("hub", parent=region, has_children=True, settings=hub_settings())
        site = self.lab.node("s1", parent=hub, settings=Settings(state="  scopes: [ s1 ]\n"))
        self.start()
        at = [self.client(node) for node in (region, hub, site)]
        at[2].say("s1/parts/inc", "3")
        at[0].wait("s1/parts", 3)
        at[0].say("s1/speed/set", "80")
        at[2].wait("s1/speed", 80)
        hub.syncd.kill9()
        at[2].say("s1/parts/inc", "4")
        at[0].say("s1/parts/inc", "5")
        hub.syncd.start()
        for client in at:
            client.wait("s1/parts", 12, 30)

    def test_a_second_hub(self):
        top = self.lab.node("top", has_children=True, settings=hub_settings(
            '  share:\n    - { scope: s1, children: "*", write: true }\n'))
        hubs = [self.lab.node(name, parent=top, has_children=True, settings=hub_settings()) for name in ("h1", "h2")]
        site = self.lab.node("s1", parent=hubs[0], settings=Settings(
            state="  scopes: [ s1 ]\n",
            parent=f"  fallbacks: [ {{ host: 127.0.0.1, port: {hubs[1].broker.tls_port} }} ]\n  move_after: 1s\n  return_after: 1h\n"))
        self.start()
        at_site, at_top = self.client(site), self.client(top)
        at_site.say("s1/parts/inc", "1")
        at_top.wait("s1/parts", 1)
        site.link.cut()
        at_site.say("s1/parts/inc", "2")
        at_top.wait("s1/parts", 3, 40)
        at_top.say("s1/speed/set", "5")
        at_site.wait("s1/speed", 5)
        at_h1 = self.client(hubs[0])
        at_h1.wait("s1/parts", 3)


if __name__ == "__main__":
    unittest.main()
