// SPDX-License-Identifier: Apache-2.0
/* clients/c/worker.c - the thread of a client: dials, sends, and takes what the inbox brings. See client.h.
 *
 * One loop under the client's lock. Each step does one thing and says whether it did any; the lock is let go
 * for Paho, for the state file and for the application. Only this thread takes entries out of the box, so an
 * entry is there after the lock was let go.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "clients/c/client.h"
#include "syncd/session/backoff.h"

static void tell(tmb_client *c, tmb_client_event event)
{
    if (!c->o.on_event)
        return;
    pthread_mutex_unlock(&c->lock);
    c->o.on_event(c->o.arg, &event);
    pthread_mutex_lock(&c->lock);
}

static void tell_not_kept(tmb_client *c, const char *why)
{
    char text[sizeof c->in.not_kept];
    (void)snprintf(text, sizeof text, "%s", why);
    tell(c, (tmb_client_event){.kind = TMB_CLIENT_NOT_KEPT, .text = text});
}

static tmb_mono in_a_while(tmb_client *c, unsigned attempt)
{
    tmb_dur wait = tmb_backoff_wait(&c->rng, attempt, tmb_dur_ms(c->o.backoff_base_ms),
                                    tmb_dur_ms(c->o.backoff_cap_ms));
    return tmb_mono_after(tmb_client_now(), wait);
}

/* --- Entries ------------------------------------------------------------------------------------------- */

/* settle lets go of an entry that the node has and of which nothing is asked any more; keep_lock around it,
 * since a file that is written anew reads the list. */
static void settle(tmb_client *c, tmb_entry *e)
{
    pthread_mutex_unlock(&c->lock);
    pthread_mutex_lock(&c->keep_lock);
    tmb_err err = TMB_OK;
    if (!e->is_forgotten)
        err = tmb_kept_forget(&c->kept, e);
    e->is_forgotten = true;
    char why[sizeof c->kept.why] = "";
    if (err != TMB_OK)
        (void)snprintf(why, sizeof why, "%s", c->kept.why);
    pthread_mutex_lock(&c->lock);
    bool is_done = e->is_acked && e->receipts_open == 0;
    if (is_done)
        tmb_outbox_take(&c->kept.box, e);
    pthread_mutex_unlock(&c->keep_lock);
    if (is_done)
        tmb_entry_free(e);
    if (err != TMB_OK)
        tell_not_kept(c, why);
    pthread_cond_broadcast(&c->changed);
}

static void fill_receipt(tmb_client_receipt *r, const tmb_receipt_answer *a)
{
    r->node = a ? a->node : "";
    r->stream = a ? a->stream : "";
    r->incarnation = a ? a->incarnation : "";
    r->why = a ? a->why : "";
    r->seq = a ? a->seq : 0;
    r->is_repeat = a && a->is_repeat;
}

/* close_receipt answers one level of what was asked; a is NULL but for answers of the node. */
static void close_receipt(tmb_client *c, tmb_entry *e, tmb_receipt_level level,
                          tmb_receipt_outcome outcome, const tmb_receipt_answer *a)
{
    e->receipts_open &= ~(unsigned)level;
    tmb_client_receipt r = {.number = e->number, .level = level, .outcome = outcome};
    fill_receipt(&r, a);
    if (outcome == TMB_RECEIPT_GIVEN)
        c->stats.receipts++;
    else if (outcome == TMB_RECEIPT_REFUSED)
        c->stats.receipts_refused++;
    else
        c->stats.receipts_timed_out += outcome == TMB_RECEIPT_TIMED_OUT;
    tmb_client_on_receipt *call = e->on_receipt;
    void *arg = e->receipt_arg;
    pthread_mutex_unlock(&c->lock);
    call(arg, &r);
    pthread_mutex_lock(&c->lock);
}

static void close_receipts(tmb_client *c, tmb_entry *e, tmb_receipt_outcome outcome)
{
    for (unsigned level = 1; level <= TMB_RECEIPT_ENGINE; level <<= 1)
        if (e->receipts_open & level)
            close_receipt(c, e, (tmb_receipt_level)level, outcome, NULL);
}

/* --- Answers of the broker ------------------------------------------------------------------------------ */

static void refuse(tmb_client *c, tmb_entry *e, unsigned reason)
{
    c->stats.refused++;
    uint64_t number = e->number;
    e->hold_until = in_a_while(c, e->refusals + 1);
    e->refusals++;
    pthread_mutex_unlock(&c->lock);
    pthread_mutex_lock(&c->keep_lock);
    tmb_err err = tmb_kept_hold(&c->kept, e);
    char why[sizeof c->kept.why] = "";
    if (err != TMB_OK)
        (void)snprintf(why, sizeof why, "%s", c->kept.why);
    pthread_mutex_unlock(&c->keep_lock);
    pthread_mutex_lock(&c->lock);
    const char *text = MQTTReasonCode_toString((enum MQTTReasonCodes)reason);
    tell(c, (tmb_client_event){.kind = TMB_CLIENT_REFUSED,
                               .text = text ? text : "an unknown reason",
                               .number = number,
                               .reason = reason});
    if (err != TMB_OK)
        tell_not_kept(c, why);
}

static void take_ack(tmb_client *c, size_t place, unsigned reason)
{
    tmb_entry *e = c->in_flight[place];
    c->in_flight[place] = c->in_flight[--c->in_flight_count];
    if (e->is_acked) { /* sent again to ask for its receipts */
        if (e->receipts_open == 0)
            settle(c, e);
        return;
    }
    if (reason >= MQTTREASONCODE_UNSPECIFIED_ERROR) {
        refuse(c, e, reason);
        return;
    }
    c->has_acked = true;
    c->attempt = c->barren = 0;
    tmb_outbox_acked(&c->kept.box, e);
    c->stats.acked++;
    settle(c, e);
}

static void forget_filter(tmb_client *c, size_t at)
{
    free(c->filters[at].text);
    c->filters[at] = c->filters[--c->filter_count];
    c->filters[c->filter_count] = (tmb_filter){.text = NULL};
}

static void take_filter_answer(tmb_client *c, size_t at, unsigned reason)
{
    tmb_filter *f = &c->filters[at];
    f->token = 0;
    if (f->is_leaving) {
        if (f->is_asked)
            forget_filter(c, at);
        return;
    }
    if (reason < MQTTREASONCODE_UNSPECIFIED_ERROR)
        return;
    char text[256];
    (void)snprintf(text, sizeof text, "%s", f->text);
    tell(c, (tmb_client_event){.kind = TMB_CLIENT_NO_SUBSCRIPTION, .text = text, .reason = reason});
}

static void take_answer(tmb_client *c, const tmb_answer *answer)
{
    for (size_t i = 0; i < c->in_flight_count; i++)
        if (c->in_flight[i]->token == answer->token) {
            take_ack(c, i, answer->reason);
            return;
        }
    for (size_t i = 0; i < c->filter_count; i++)
        if (c->filters[i].token == answer->token) {
            take_filter_answer(c, i, answer->reason);
            return;
        }
}

static bool take_answers(tmb_client *c)
{
    if (c->in.answer_count == 0)
        return false;
    tmb_answer first = c->in.answers[0];
    c->in.answer_count--;
    memmove(c->in.answers, c->in.answers + 1, c->in.answer_count * sizeof first);
    take_answer(c, &first);
    return true;
}

/* --- Receipts ------------------------------------------------------------------------------------------- */

static bool take_receipts(tmb_client *c)
{
    tmb_receipt_item *item = c->in.first_receipt;
    if (!item)
        return false;
    c->in.first_receipt = item->next;
    if (!item->next)
        c->in.last_receipt = &c->in.first_receipt;
    tmb_entry *e = tmb_outbox_find(&c->kept.box, item->answer.number);
    if (e && (e->receipts_open & item->answer.level)) {
        close_receipt(c, e, item->answer.level,
                      item->answer.is_given ? TMB_RECEIPT_GIVEN : TMB_RECEIPT_REFUSED,
                      &item->answer);
        bool is_under_way = false;
        for (size_t i = 0; i < c->in_flight_count; i++)
            is_under_way = is_under_way || c->in_flight[i] == e;
        if (e->is_acked && e->receipts_open == 0 && !is_under_way)
            settle(c, e);
    } else {
        c->stats.receipts_unknown++;
    }
    free(item);
    return true;
}

static bool is_in_flight(const tmb_client *c, const tmb_entry *e)
{
    for (size_t i = 0; i < c->in_flight_count; i++)
        if (c->in_flight[i] == e)
            return true;
    return false;
}

/* time_out gives up one message's receipts, and notes when the next are due. */
static bool time_out(tmb_client *c, tmb_mono now)
{
    if (!tmb_mono_is_due(c->receipts_due, now))
        return false;
    c->receipts_due = tmb_mono_never();
    tmb_entry *late = NULL;
    for (tmb_entry *e = c->kept.box.first; e; e = e->next)
        if (e->receipts_open != 0) {
            if (!late && tmb_mono_is_due(e->receipt_deadline, now))
                late = e;
            else
                c->receipts_due = tmb_mono_min(c->receipts_due, e->receipt_deadline);
        }
    for (tmb_entry *e = c->kept.held; e; e = e->next)
        if (e->receipts_open != 0) {
            if (!late && tmb_mono_is_due(e->receipt_deadline, now))
                late = e;
            else
                c->receipts_due = tmb_mono_min(c->receipts_due, e->receipt_deadline);
        }
    if (!late)
        return false;
    close_receipts(c, late, TMB_RECEIPT_TIMED_OUT);
    if (late->is_acked && !is_in_flight(c, late))
        settle(c, late);
    return true;
}

/* --- The connection ------------------------------------------------------------------------------------- */

/* drop notes that the connection is gone, and when to dial again. */
static void drop(tmb_client *c, const char *why_lost)
{
    char why[sizeof c->in.why];
    (void)snprintf(why, sizeof why, "%s", why_lost);
    tmb_mono now = tmb_client_now();
    bool was_up = c->state == TMB_LINK_UP;
    bool is_barren = was_up && c->in_flight_count > 0 && !c->has_acked;
    uint64_t number = is_barren ? c->in_flight[0]->number : 0;
    for (size_t i = 1; is_barren && i < c->in_flight_count; i++)
        if (c->in_flight[i]->number < number)
            number = c->in_flight[i]->number;
    if (was_up && !is_barren && now.ns - c->up_since.ns > tmb_dur_ms(TMB_CLIENT_GOOD_MS).ns)
        c->attempt = 0;
    c->barren = is_barren ? c->barren + 1 : 0;
    c->state = TMB_LINK_DOWN;
    c->generation++; /* what Paho still says of it is not heard */
    c->in.is_up = c->in.is_lost = false;
    c->in.answer_count = 0;
    c->in_flight_count = 0;
    tmb_outbox_rewind(&c->kept.box);
    for (size_t i = 0; i < c->filter_count; i++) {
        c->filters[i].is_asked = false;
        c->filters[i].token = 0;
    }
    c->dial_at = in_a_while(c, c->attempt);
    if (c->attempt < 32)
        c->attempt++;
    c->stats.downs++;
    c->stats.is_up = false;
    pthread_mutex_unlock(&c->lock);
    tmb_link_end(c); /* before anything is made: see client.h */
    pthread_mutex_lock(&c->lock);
    tell(c, (tmb_client_event){.kind = TMB_CLIENT_DOWN, .text = why});
    if (c->barren >= TMB_CLIENT_BARREN_MAX) {
        c->stats.refused++;
        tell(c,
             (tmb_client_event){.kind = TMB_CLIENT_REFUSED,
                                .text = "the node closes the connection instead of acknowledging: "
                                        "is its disk full?",
                                .number = number});
    }
}

static bool take_news(tmb_client *c)
{
    if (c->in.not_kept[0]) {
        char why[sizeof c->in.not_kept];
        memcpy(why, c->in.not_kept, sizeof why);
        c->in.not_kept[0] = '\0';
        tell_not_kept(c, why);
        return true;
    }
    if (c->in.is_lost) {
        drop(c, c->in.why);
        return true;
    }
    if (!c->in.is_up)
        return false;
    c->in.is_up = false;
    c->state = TMB_LINK_UP;
    c->up_since = tmb_client_now();
    c->has_acked = false;
    c->window = TMB_CLIENT_IN_FLIGHT_MAX;
    if (c->in.receive_max > 0 && c->in.receive_max < c->window)
        c->window = c->in.receive_max;
    c->stats.connects++;
    c->stats.is_up = true;
    tell(c, (tmb_client_event){
                .kind = TMB_CLIENT_UP, .text = "", .is_session_new = c->in.is_session_new});
    return true;
}

static bool dial(tmb_client *c, tmb_mono now)
{
    if (c->state != TMB_LINK_DOWN || !tmb_mono_is_due(c->dial_at, now))
        return false;
    c->state = TMB_LINK_DIALING;
    c->dial_at = tmb_mono_after(now, tmb_dur_ms(TMB_CLIENT_DIAL_MS));
    uint64_t generation = ++c->generation;
    pthread_mutex_unlock(&c->lock);
    tmb_err err = tmb_link_dial(c, generation);
    pthread_mutex_lock(&c->lock);
    if (err != TMB_OK)
        drop(c, "Paho would not dial: out of memory, or a wrong file of certificates");
    return true;
}

static bool give_up_dialing(tmb_client *c, tmb_mono now)
{
    if (c->state != TMB_LINK_DIALING || !tmb_mono_is_due(c->dial_at, now))
        return false;
    drop(c, "no answer from the broker");
    return true;
}

/* --- Sending ---------------------------------------------------------------------------------- */

static bool send_filter(tmb_client *c)
{
    size_t at = 0;
    while (at < c->filter_count && (c->filters[at].is_asked || c->filters[at].token != 0))
        at++;
    if (at == c->filter_count)
        return false;
    tmb_filter *f = &c->filters[at];
    f->is_asked = true;
    const char *text = f->text; /* only this thread forgets one */
    unsigned qos = f->qos;
    bool is_leaving = f->is_leaving;
    int token = 0;
    pthread_mutex_unlock(&c->lock);
    tmb_err err = is_leaving ? tmb_link_unsubscribe(c, text, &token)
                             : tmb_link_subscribe(c, text, qos, &token);
    pthread_mutex_lock(&c->lock);
    c->filters[at].token = token; /* others are appended behind it meanwhile, none is moved */
    if (err != TMB_OK)
        drop(c, "the connection ended while subscribing");
    return true;
}

static bool send_one(tmb_client *c)
{
    tmb_entry *e = c->kept.box.unsent;
    if (!e || c->in_flight_count >= c->window)
        return false;
    c->stats.sent_again += e->was_sent;
    tmb_outbox_sent(&c->kept.box);
    c->in_flight[c->in_flight_count++] = e;
    unsigned levels = e->receipts_open;
    pthread_mutex_unlock(&c->lock);
    tmb_err err = tmb_link_send(c, e, levels);
    pthread_mutex_lock(&c->lock);
    if (err != TMB_OK)
        drop(c, err == TMB_ENOMEM ? "out of memory while sending"
                                  : "the connection ended while sending");
    return true;
}

/* renumber tries one refused message again. */
static bool renumber(tmb_client *c, tmb_mono now)
{
    tmb_entry *e = c->kept.held;
    while (e && !tmb_mono_is_due(e->hold_until, now))
        e = e->next;
    if (!e)
        return false;
    uint64_t number = e->number;
    e->is_sent = false;
    pthread_mutex_unlock(&c->lock);
    pthread_mutex_lock(&c->keep_lock);
    tmb_err err = tmb_kept_renumber(&c->kept, e);
    char why[sizeof c->kept.why] = "";
    if (err != TMB_OK)
        (void)snprintf(why, sizeof why, "%s", c->kept.why);
    pthread_mutex_unlock(&c->keep_lock);
    pthread_mutex_lock(&c->lock);
    if (err != TMB_OK) {
        e->hold_until = in_a_while(c, ++e->refusals);
        tell_not_kept(c, why);
        return true;
    }
    tell(c,
         (tmb_client_event){
             .kind = TMB_CLIENT_RENUMBERED, .text = "", .number = number, .new_number = e->number});
    return true;
}

static bool send_something(tmb_client *c)
{
    return c->state == TMB_LINK_UP && (send_filter(c) || send_one(c));
}

/* --- The loop --------------------------------------------------------------------------------- */

static bool step(tmb_client *c)
{
    tmb_mono now = tmb_client_now();
    return take_answers(c) || take_receipts(c) || take_news(c) || time_out(c, now) ||
           renumber(c, now) || dial(c, now) || give_up_dialing(c, now) || send_something(c);
}

static void wait_until(tmb_client *c, tmb_mono until)
{
    if (until.ns == INT64_MAX) {
        pthread_cond_wait(&c->changed, &c->lock);
        return;
    }
    struct timespec at = {(time_t)(until.ns / 1000000000), (long)(until.ns % 1000000000)};
    (void)pthread_cond_timedwait(&c->changed, &c->lock, &at);
}

static tmb_mono next_deadline(const tmb_client *c)
{
    tmb_mono next = c->receipts_due;
    if (c->state != TMB_LINK_UP)
        next = tmb_mono_min(next, c->dial_at);
    for (const tmb_entry *e = c->kept.held; e; e = e->next)
        next = tmb_mono_min(next, e->hold_until);
    return next;
}

static void goodbye(tmb_client *c)
{
    bool was_up = c->state == TMB_LINK_UP;
    pthread_mutex_unlock(&c->lock);
    bool is_asked = was_up && tmb_link_goodbye(c);
    pthread_mutex_lock(&c->lock);
    tmb_mono end = tmb_mono_after(tmb_client_now(), tmb_dur_ms(TMB_CLIENT_GOODBYE_MS));
    while (is_asked && !c->in.is_gone && !c->in.is_lost && !tmb_mono_is_due(end, tmb_client_now()))
        wait_until(c, end);
    pthread_mutex_unlock(&c->lock);
    tmb_link_end_all(c);
    pthread_mutex_lock(&c->lock);
    c->in_flight_count = 0;
    while (take_receipts(c))
        ;
    for (tmb_entry *e = c->kept.box.first; e; e = e->next)
        close_receipts(c, e, TMB_RECEIPT_CLOSED);
    for (tmb_entry *e = c->kept.held; e; e = e->next)
        close_receipts(c, e, TMB_RECEIPT_CLOSED);
}

void *tmb_client_work(void *arg)
{
    tmb_client *c = arg;
    pthread_mutex_lock(&c->lock);
    while (!c->is_closing)
        if (!step(c))
            wait_until(c, next_deadline(c));
    goodbye(c);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}
