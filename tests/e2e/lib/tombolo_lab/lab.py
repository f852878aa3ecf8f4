# SPDX-License-Identifier: Apache-2.0
"""A lab: a folder, an authority, nodes and the links between them; started together and cleaned up together.

    with Lab() as lab:
        hub = lab.node("hub", has_children=True)
        s1 = lab.node("s1", parent=hub)
        lab.start()
        s1.link.cut()

Each child reaches its parent through a link of its own. The folder is removed at the end, unless something
failed or TMB_KEEP is set: then it is kept and named.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from .certs import Authority
from .ledger import Ledger
from .line import Line
from .link import Link
from .net import wait_until
from .node import Node, Programs, programs
from .publisher import Publisher
from .subscriber import Subscriber


class Lab:
    def __init__(self, folder: str = "", domain: str = "lab.example", built: Programs = None,
                 certificates: dict = None):
        self._is_own_folder = not folder
        self.folder = Path(folder or tempfile.mkdtemp(prefix="tombolo-lab-"))
        self.built = built or programs()
        self.authority = Authority(self.folder / "certs", domain, **(certificates or {}))
        self.ledger = Ledger()
        self.nodes, self.links, self.clients = {}, {}, []

    def line(self, seed: int = 0) -> Line:
        """A bad line, for node(..., line=...). Before the parent is named: its certificate has the address."""
        line = Line(seed)
        self.authority.addresses.append(line.address)
        return line

    def node(self, name: str, *, parent: Node = None, line: Line = None, **options) -> Node:
        link = None
        if line:
            line.lead_to(parent.broker.tls_port)
            self.links[name] = link = line
            options["parent_host"] = line.address
            line.start()
        elif parent:
            link = Link(f"{name}-{parent.name}", parent.broker.tls_port)
            self.links[name] = link
            link.start()
        node = Node(name, self.folder / name, self.authority, self.built, parent=parent,
                    parent_port=link.port if link else 0, **options)
        node.link = link
        self.nodes[name] = node
        return node

    def start(self) -> None:
        """Starts parents before children, in the order in which they were named; each listens before the next comes."""
        for node in self.nodes.values():
            node.start()
            if node.has_children:
                node.syncd.wait_for_log("broker.up")

    def subscribe(self, node: Node, name: str = "", topic: str = "#", **options) -> Subscriber:
        """A persistent subscriber that fills the ledger, ready when this returns."""
        subscriber = Subscriber(name or f"{node.name}-ear", node.broker.port, topic, ledger=self.ledger,
                                **options)
        self.clients.append(subscriber)
        subscriber.start()
        subscriber.wait_ready()
        return subscriber

    def client_link(self, node: Node) -> Link:
        """A link to a node's own broker, for clients: what they say can be heard and its ack be lost."""
        link = Link(f"clients-{node.name}", node.broker.port)
        self.links[f"clients-{node.name}"] = link
        link.start()
        return link

    def publish(self, node: Node, name: str, source, *, link: Link = None, **options) -> Publisher:
        publisher = Publisher(name, node.name, link.port if link else node.broker.port, self.ledger,
                              iter(source), **options)
        self.clients.append(publisher)
        publisher.start()
        return publisher

    def wait_acked(self, publishers, timeout_s: float = 60, stop: bool = True) -> None:
        """Waits until the publishers are done. stop: they say nothing more; else until their sources end."""
        for publisher in publishers if stop else ():
            publisher.finish()
        end = time.monotonic() + timeout_s
        for publisher in publishers:
            publisher.join(max(0.0, end - time.monotonic()))
            if publisher.is_alive():
                raise TimeoutError(f"{publisher.name} still has {publisher.in_flight} messages not acked "
                                   f"after {timeout_s:g} s\n{self.logs()}")

    def wait_drained(self, timeout_s: float = 60, site: str = "") -> None:
        """Waits until everything acked has arrived."""
        wait_until(lambda: self.ledger.waiting(site)[0] == 0, timeout_s,
                   lambda: f"{self.ledger.waiting(site)[0]} messages to arrive\n{self.logs()}")

    def logs(self, lines: int = 12) -> str:
        return "\n".join(node.logs(lines) for node in self.nodes.values())

    def close(self, failed: bool = False) -> None:
        for client in self.clients:
            client.halt()
        for node in reversed(list(self.nodes.values())):
            node.stop()
        for link in self.links.values():
            link.close()
        if not self._is_own_folder:
            return
        if failed or os.environ.get("TMB_KEEP"):
            print(f"the lab's folder is kept: {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, _error, _trace):
        self.close(failed=kind is not None)
