// SPDX-License-Identifier: Apache-2.0
/* sim/faults_log.c - the disks of the world of faults, and the oracles of safety, which look at each record
 * that is written to one of them.
 *
 * A log is an array by number. What is not synced goes with the power; numbers are then used again. What a
 * parent commits is durable at once, as a whole. */
#include "sim/faults_world.h"

#include <stdlib.h>

const char *const fault_streams[FAULT_STREAMS] = {"alarms", "metrics", "pictures"};

tmb_incarnation fault_incarnation(const fault_node *node, unsigned life)
{
    tmb_incarnation incarnation = {{(uint8_t)(node->origin + 1), (uint8_t)(life + 1)}};
    return incarnation;
}

fault_log *fault_log_of(fault_node *node, unsigned stream)
{
    return &node->logs[node->life][stream];
}

fault_copy *fault_copy_find(fault_copy *copies, uint64_t ticket)
{
    for (unsigned i = 0; i < FAULT_COPIES_MAX; i++) {
        if (copies[i].ticket == ticket)
            return &copies[i];
    }
    return NULL;
}

void fault_encode(const fault_record *record, uint8_t out[TMB_RECORD_BYTES_MIN])
{
    memset(out, 0, TMB_RECORD_BYTES_MIN);
    memcpy(out, &record->value, sizeof record->value);
    memcpy(out + 8, &record->before, sizeof record->before);
    memcpy(out + 16, &record->seq, sizeof record->seq);
    out[24] = (uint8_t)record->origin;
    out[25] = (uint8_t)record->life;
    out[26] = (uint8_t)record->stream;
}

static bool make_room(fault_world *world, fault_log *log)
{
    if (log->last_seq + 2 < log->cap)
        return true;
    uint64_t cap = log->cap ? log->cap * 2 : 1024;
    fault_record *records =
        cap <= FAULT_SEQ_MAX ? realloc(log->records, (size_t)cap * sizeof *records) : NULL;
    if (records == NULL) {
        fault_fail(world, "a simulated log is too long, or there is no memory");
        return false;
    }
    log->records = records;
    log->cap = cap;
    if (log->first_seq == 0)
        log->first_seq = 1;
    return true;
}

/* The oracle of time: stamps of one log rise, whatever the wall clock did. */
void fault_append(fault_world *world, fault_node *node, unsigned stream, const fault_record *record)
{
    fault_log *log = fault_log_of(node, stream);
    if (!make_room(world, log))
        return;
    tmb_hlc last = {log->last_seq > 0 ? log->records[log->last_seq].stamp.u64 : 0};
    tmb_wall wall = {INT64_C(1700000000000) + world->now_ns / FAULT_MS + node->wall_offset_ms};
    tmb_hlc stamp = tmb_hlc_next(last, wall);
    if (world->plant == FAULT_CLOCK_BACK)
        stamp.u64 = (uint64_t)wall.ms << 16 | (log->last_seq & 0xffff);
    if (log->last_seq > 0 && stamp.u64 <= last.u64)
        fault_fail(world, "a stamp is not above the one before it");
    log->records[++log->last_seq] = *record;
    log->records[log->last_seq].stamp = stamp;
    log->records[log->last_seq].is_lost = log->records[log->last_seq].is_lost_above = false;
}

/* Some records are published at node. */
void fault_write(fault_world *world, fault_node *node)
{
    unsigned stream = (unsigned)tmb_rng_below(&world->load, FAULT_STREAMS);
    fault_log *log = fault_log_of(node, stream);
    for (uint64_t n = 1 + tmb_rng_below(&world->load, 8); n > 0; n--) {
        fault_record record = {.value = tmb_rng_next(&world->load) | 1,
                               .before = 0,
                               .seq = log->last_seq + 1,
                               .origin = node->origin,
                               .life = node->life,
                               .stream = stream};
        /* The hub's log has others' records between its own: there `before` is told by via alone. */
        if (log->last_seq > 0 && log->records[log->last_seq].origin == node->origin)
            record.before = log->records[log->last_seq].value;
        fault_append(world, node, stream, &record);
        world->result->records++;
    }
    if (sim_chance(&world->disk, 100))
        log->synced_seq = log->last_seq;
    if (sim_chance(&world->disk, 30)) {
        for (unsigned i = 0; i < FAULT_STREAMS; i++) {
            fault_log_of(node, i)->image_first = fault_log_of(node, i)->first_seq;
            fault_log_of(node, i)->image_seq = fault_log_of(node, i)->synced_seq;
        }
    }
}

/* Whoever's log record came from knows that it is lost further up. */
static void lose(fault_world *world, const fault_node *node, fault_record *record)
{
    fault_node *origin = &world->nodes[record->origin];
    fault_log *born = &origin->logs[record->life][record->stream];
    record->is_lost = true;
    world->result->lost++;
    if (origin != node && record->seq <= born->last_seq &&
        born->records[record->seq].value == record->value)
        born->records[record->seq].is_lost_above = true;
}

/* Retention passes the mark, or bytes go bad: of what is synced (the rest is in no closed segment). */
void fault_lose_records(fault_world *world, fault_node *node)
{
    unsigned stream = (unsigned)tmb_rng_below(&world->disk, FAULT_STREAMS);
    fault_log *log = fault_log_of(node, stream);
    if (log->synced_seq == 0 || log->synced_seq < log->first_seq)
        return;
    uint64_t span = log->synced_seq - log->first_seq + 1;
    uint64_t end = log->first_seq + tmb_rng_below(&world->disk, span) + 1;
    bool is_retention = sim_chance(&world->disk, 300);
    uint64_t back = tmb_rng_below(&world->disk, 3) + 1;
    uint64_t begin = is_retention || end < log->first_seq + back ? log->first_seq : end - back;
    for (uint64_t seq = begin; seq < end; seq++)
        lose(world, node, &log->records[seq]);
    if (is_retention)
        log->first_seq = end;
    fault_tell(world, node, is_retention ? "retention up to" : "damage up to", end - 1);
    if (node->is_up && node->index != FAULT_TOP)
        fault_post(world, EVENT_TAIL, node, stream, 0, NULL);
}

void fault_cut_power(fault_world *world, fault_node *node)
{
    for (unsigned i = 0; i < FAULT_STREAMS; i++) {
        fault_log *log = fault_log_of(node, i);
        uint64_t loose = log->last_seq - log->synced_seq;
        log->last_seq = log->synced_seq + tmb_rng_below(&world->disk, loose + 1);
        log->synced_seq = log->last_seq;
    }
}

/* An older image of the whole disk. True: something is gone by it. */
bool fault_restore(fault_world *world, fault_node *node)
{
    bool is_older = false;
    for (unsigned i = 0; i < FAULT_STREAMS; i++) {
        fault_log *log = fault_log_of(node, i);
        if (log->image_seq >= log->last_seq)
            continue;
        is_older = true;
        log->last_seq = log->synced_seq = log->image_seq;
        log->first_seq = log->image_first > 0 ? log->image_first : 1;
    }
    if (is_older)
        fault_tell(world, node, "restored from an older image, life", node->life + 1);
    return is_older;
}

bool fault_copy_disk(fault_world *world, fault_node *to, const fault_node *from)
{
    to->life = from->life;
    for (unsigned i = 0; i < FAULT_STREAMS; i++) {
        const fault_log *log = &from->logs[from->life][i];
        fault_log *copy = &to->logs[to->life][i];
        *copy = *log;
        copy->records = log->cap ? malloc((size_t)log->cap * sizeof *copy->records) : NULL;
        if (log->cap > 0 && copy->records == NULL) {
            *copy = (fault_log){0};
            fault_fail(world, "no memory");
            return false;
        }
        if (copy->records != NULL)
            memcpy(copy->records, log->records, ((size_t)log->last_seq + 1) * sizeof *log->records);
    }
    return true;
}

void fault_logs_free(fault_node *node)
{
    for (unsigned life = 0; life < FAULT_LIVES; life++) {
        for (unsigned i = 0; i < FAULT_STREAMS; i++)
            free(node->logs[life][i].records);
    }
}

static bool is_lost_honestly(const fault_node *origin, const fault_record *record)
{
    return origin->is_forked || record->is_lost || record->is_lost_above;
}

/* The oracle of order and once: of each origin, whatever road it came. */
static void arrive(fault_world *world, fault_node *node, const fault_record *record)
{
    fault_node *origin = &world->nodes[record->origin];
    fault_kept *arrived = &node->arrived[record->origin][record->life][record->stream];
    const fault_log *born = &origin->logs[record->life][record->stream];
    if (record->seq <= arrived->last_seq) {
        fault_fail(world, "a record is here a second time, or behind a later one");
        return;
    }
    if (record->seq == arrived->last_seq + 1 && record->before != 0 && arrived->last_value != 0 &&
        record->before != arrived->last_value)
        fault_fail(world, "records of two boxes are merged");
    if (record->origin != FAULT_HUB) { /* whose own numbers have others' records between them */
        for (uint64_t seq = arrived->last_seq + 1; seq < record->seq; seq++) {
            if (!is_lost_honestly(origin, &born->records[seq]))
                fault_fail(world, "a record that nobody lost is left out");
        }
    }
    arrived->last_seq = record->seq;
    arrived->last_value = record->value;
}

/* What fills the way to the batch must be declared, and lost. */
static void commit_gap(fault_world *world, fault_kept *kept, const fault_copy *copy)
{
    const fault_node *child = &world->nodes[copy->child];
    const fault_log *log = &child->logs[copy->life][copy->stream];
    while (kept->last_seq + 1 < copy->first_seq) {
        kept->last_seq++;
        kept->last_value = 0;
        if (!child->is_forked && !log->records[kept->last_seq].is_lost)
            fault_fail(world, "a record is given up that was never lost");
    }
}

/* Repeats are dropped, as the broker's plugin does. True: the parent's own log has grown. */
bool fault_commit(fault_world *world, fault_node *parent, const fault_copy *copy)
{
    fault_kept *kept = &parent->kept[copy->child][copy->life][copy->stream];
    uint64_t from = copy->gap_first != 0 ? copy->gap_first : copy->first_seq;
    bool has_grown = false;
    if (from > kept->last_seq + 1) {
        fault_fail(world, "a commit leaves a hole");
        return false;
    }
    commit_gap(world, kept, copy);
    while (kept->last_seq < copy->last_seq) {
        const fault_record *record = &copy->records[++kept->last_seq - copy->first_seq];
        uint8_t bytes[TMB_RECORD_BYTES_MIN];
        fault_encode(record, bytes);
        tmb_chain_add(&kept->chain, kept->last_seq, tmb_bytes_of(bytes, sizeof bytes));
        kept->last_value = record->value;
        arrive(world, parent, record);
        if (parent->index != FAULT_TOP) {
            fault_append(world, parent, copy->stream, record);
            has_grown = true;
        }
    }
    if (has_grown)
        fault_log_of(parent, copy->stream)->synced_seq =
            fault_log_of(parent, copy->stream)->last_seq;
    if (sim_chance(&world->disk, 200))
        kept->view = kept->chain;
    fault_hash(world, kept->last_seq);
    return has_grown;
}

tmb_proof fault_prove(const fault_node *node, unsigned stream, const tmb_chain *chain)
{
    const fault_log *log = &node->logs[node->life][stream];
    tmb_chain own = {0};
    if (chain->seq == 0 || chain->seq > log->last_seq)
        return TMB_PROOF_UNKNOWN;
    own.seq = tmb_chain_begin(chain->seq) - 1;
    for (uint64_t seq = own.seq + 1; seq <= chain->seq; seq++) {
        uint8_t bytes[TMB_RECORD_BYTES_MIN];
        if (seq < log->first_seq || log->records[seq].is_lost)
            return TMB_PROOF_UNKNOWN;
        fault_encode(&log->records[seq], bytes);
        tmb_chain_add(&own, seq, tmb_bytes_of(bytes, sizeof bytes));
    }
    if (!own.is_known)
        return TMB_PROOF_UNKNOWN;
    return memcmp(own.value, chain->value, sizeof own.value) == 0 ? TMB_PROOF_SAME
                                                                  : TMB_PROOF_FORKED;
}

/* Everything that the present logs hold is at the parent, but for what ends them in a gap: that travels with
 * the next record. And the child knows it, or was told an old mark and has nothing left to ask with. */
static bool is_node_drained(fault_world *world, fault_node *node)
{
    const fault_node *parent = &world->nodes[node->parent];
    for (unsigned i = 0; i < FAULT_STREAMS; i++) {
        const fault_log *log = fault_log_of(node, i);
        uint64_t last = log->last_seq;
        while (last > 0 && log->records[last].is_lost)
            last--;
        if (parent->kept[node->origin][node->life][i].last_seq < last ||
            (node->session.lanes[i].acked < last && log->first_seq <= last))
            return false;
    }
    return node->is_up;
}

bool fault_is_drained(fault_world *world)
{
    for (unsigned i = FAULT_HUB; i < world->nodes_count; i++) {
        fault_node *node = &world->nodes[i];
        if (node->is_there && (node->is_clone || !is_node_drained(world, node)))
            return false;
    }
    return true;
}
