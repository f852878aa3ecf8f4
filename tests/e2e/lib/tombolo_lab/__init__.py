# SPDX-License-Identifier: Apache-2.0
"""tombolo_lab - a small fleet on this machine's loopback, to be broken on purpose.

Used by tests/e2e, tests/fault and the demo. Bottom up:

    net         free ports, waiting for a condition
    certs       a certificate authority of the lab's own, with the openssl command
    process     a child process with a log file, that can be stopped or killed
    broker      a stock Mosquitto with (or without) the plugin
    node        a broker, a tombolo-syncd and the one YAML file for both
    link        the wire between two nodes: a TCP proxy that can be cut and healed
    judge       what arrived against what was published: lost, duplicated, resent, reordered (pure)
    ledger      the judge's bookkeeping, shared by publishers and subscribers
    publisher   one MQTT client that numbers what it says
    subscriber  one MQTT client that writes down what it hears
    line        a bad line below TCP: rate, delay, loss, cuts
    state_client  one MQTT client of state: operations, and the values that are retained
    talker      one MQTT client for a test that says a few words and wants to hear the answers
    journal     a node's log, read by the tombolo-journal command
    lab         a folder, an authority, some nodes and links: started, broken, cleaned up
"""

from .broker import Broker
from .certs import Authority
from .judge import Verdict, judge, total
from .lab import Lab
from .ledger import Ledger, checkpoint_age_s
from .line import Line
from .link import Link
from .node import Node, programs
from .publisher import Message, Publisher
from .state_client import StateClient
from .subscriber import Subscriber
from .talker import Ear, Talker

__all__ = ["Authority", "Broker", "Ear", "Lab", "Ledger", "Line", "Link", "Message", "Node", "Publisher",
           "StateClient", "Subscriber",
           "Talker", "Verdict", "checkpoint_age_s", "judge", "programs", "total"]
