// SPDX-License-Identifier: Apache-2.0
//! The Rust crate `crdts` behind the lines of tests/differential/README.md: changes and merges in, values out.
//!
//! States are merged as wholes (CvRDT). Contexts are read from the replica itself, as the crate's examples do.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};

use crdts::{CmRDT, CvRDT, GCounter, GSet, LWWReg, MVReg, Map, Orswot, PNCounter};

type Actor = u16;
type Register = MVReg<u8, Actor>;

/// Keys of the maps.
const FIELD: u8 = 0;
/// Actors from here on make one change each.
const FRESH: Actor = 1000;

/// One replica of everything. `outer` holds `inner` maps, which hold registers.
#[derive(Clone, Default)]
struct Replica {
    reg: Register,
    lww: LWWReg<u8, (u64, Actor, u8)>,
    up: GCounter<Actor>,
    pn: PNCounter<Actor>,
    aw: Orswot<u8, Actor>,
    gs: GSet<u8>,
    map_reg: Map<u8, Register, Actor>,
    map_aw: Map<u8, Orswot<u8, Actor>, Actor>,
    map_pn: Map<u8, PNCounter<Actor>, Actor>,
    outer: Map<u8, Map<u8, Register, Actor>, Actor>,
}

impl Replica {
    fn merge(&mut self, other: &Replica) {
        self.reg.merge(other.reg.clone());
        self.lww.merge(other.lww.clone());
        self.up.merge(other.up.clone());
        self.pn.merge(other.pn.clone());
        self.aw.merge(other.aw.clone());
        self.gs.merge(other.gs.clone());
        self.map_reg.merge(other.map_reg.clone());
        self.map_aw.merge(other.map_aw.clone());
        self.map_pn.merge(other.map_pn.clone());
        self.outer.merge(other.outer.clone());
    }

    fn set(&mut self, me: Actor, stamp: u64, value: u8) {
        let op = self.reg.write(value, self.reg.read_ctx().derive_add_ctx(me));
        self.reg.apply(op);
        self.lww.update(value, (stamp, me, value));
        let ctx = self.map_reg.read_ctx().derive_add_ctx(me);
        let op = self.map_reg.update(FIELD, ctx, |reg, ctx| reg.write(value, ctx));
        self.map_reg.apply(op);
    }

    fn set_inner(&mut self, me: Actor, value: u8) {
        let ctx = self.outer.read_ctx().derive_add_ctx(me);
        let op = self.outer.update(FIELD, ctx, |inner, ctx| {
            inner.update(FIELD, ctx, |reg, ctx| reg.write(value, ctx))
        });
        self.outer.apply(op);
    }

    fn count(&mut self, me: Actor, amount: u64) {
        self.up.apply(self.up.inc_many(me, amount));
    }

    fn inc(&mut self, me: Actor, amount: u64) {
        self.pn.apply(self.pn.inc_many(me, amount));
        let ctx = self.map_pn.read_ctx().derive_add_ctx(me);
        let op = self.map_pn.update(FIELD, ctx, |pn, _| pn.inc_many(me, amount));
        self.map_pn.apply(op);
    }

    fn dec(&mut self, me: Actor, amount: u64) {
        self.pn.apply(self.pn.dec_many(me, amount));
        let ctx = self.map_pn.read_ctx().derive_add_ctx(me);
        let op = self.map_pn.update(FIELD, ctx, |pn, _| pn.dec_many(me, amount));
        self.map_pn.apply(op);
    }

    fn add(&mut self, me: Actor, element: u8) {
        let op = self.aw.add(element, self.aw.read_ctx().derive_add_ctx(me));
        self.aw.apply(op);
        let ctx = self.map_aw.read_ctx().derive_add_ctx(me);
        let op = self.map_aw.update(FIELD, ctx, |set, ctx| set.add(element, ctx));
        self.map_aw.apply(op);
    }

    fn rm(&mut self, me: Actor, element: u8) {
        let seen = self.aw.contains(&element).derive_rm_ctx();
        self.aw.apply(self.aw.rm(element, seen));
        let set = self.map_aw.get(&FIELD);
        if let Some(set) = set.val {
            let seen = set.contains(&element).derive_rm_ctx();
            let ctx = self.map_aw.read_ctx().derive_add_ctx(me);
            let op = self.map_aw.update(FIELD, ctx, |set, _| set.rm(element, seen));
            self.map_aw.apply(op);
        }
    }

    fn del(&mut self, path: &str) {
        if path == "m" || path == "m/reg" {
            let seen = self.map_reg.get(&FIELD).derive_rm_ctx();
            self.map_reg.apply(self.map_reg.rm(FIELD, seen));
        }
        if path == "m" || path == "m/aw" {
            let seen = self.map_aw.get(&FIELD).derive_rm_ctx();
            self.map_aw.apply(self.map_aw.rm(FIELD, seen));
        }
        if path == "m" || path == "m/pn" {
            let seen = self.map_pn.get(&FIELD).derive_rm_ctx();
            self.map_pn.apply(self.map_pn.rm(FIELD, seen));
        }
        if path == "m" || path == "m/n" {
            let seen = self.outer.get(&FIELD).derive_rm_ctx();
            self.outer.apply(self.outer.rm(FIELD, seen));
        }
    }

    fn read(&self) -> String {
        let map_reg = self.map_reg.get(&FIELD).val.unwrap_or_default();
        let map_aw = self.map_aw.get(&FIELD).val.unwrap_or_default();
        let map_pn = self.map_pn.get(&FIELD).val.unwrap_or_default();
        let inner = self.outer.get(&FIELD).val.unwrap_or_default();
        let inner_reg = inner.get(&FIELD).val.unwrap_or_default();
        let lww = if self.lww.marker.0 > 0 { list([self.lww.val]) } else { list([]) };
        format!(
            "reg={} lww={} up={} pn={} aw={} gs={} map.reg={} map.aw={} map.pn={} map.n.reg={}",
            list(self.reg.read().val),
            lww,
            self.up.read(),
            self.pn.read(),
            list(self.aw.read().val),
            list(self.gs.read()),
            list(map_reg.read().val),
            list(map_aw.read().val),
            map_pn.read(),
            list(inner_reg.read().val),
        )
    }
}

/// In order, each once: two may have written the same.
fn list(values: impl IntoIterator<Item = u8>) -> String {
    let set: BTreeSet<u8> = values.into_iter().collect();
    set.iter().map(u8::to_string).collect::<Vec<_>>().join(",")
}

fn main() {
    let mut replicas: Vec<Replica> = Vec::new();
    let (mut is_fresh, mut changes) = (false, 0);
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let line = line.expect("a line of text");
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().expect("a number");
        let index = |at: usize| number(at) as usize;
        match words[0] {
            "new" => {
                replicas = vec![Replica::default(); index(1)];
                is_fresh = words.len() > 2 && words[2] == "fresh";
                changes = 0;
            }
            "tell" => {
                let from = replicas[index(1)].clone();
                replicas[index(2)].merge(&from);
            }
            "read" => writeln!(out, "{}", replicas[index(1)].read()).expect("somebody who reads"),
            verb => {
                let own = index(1) as Actor;
                changes += 1;
                let me = if is_fresh { FRESH + changes } else { own };
                let replica = &mut replicas[index(1)];
                match verb {
                    "set" => replica.set(me, number(2), number(3) as u8),
                    "set-inner" => replica.set_inner(me, number(3) as u8),
                    "count" => replica.count(me, number(2)),
                    "inc" => replica.inc(me, number(2)),
                    "dec" => replica.dec(me, number(2)),
                    "add" => replica.add(me, number(2) as u8),
                    "rm" => replica.rm(me, number(2) as u8),
                    "insert" => replica.gs.insert(number(2) as u8),
                    "del" => replica.del(words[2]),
                    other => panic!("no verb {other}"),
                }
            }
        }
    }
}
