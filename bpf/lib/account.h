/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* account: what a connection has carried, and the event of its end.
 *
 * Each way of a connection has its counters on its own cache line and adds to them without a lock. They are exact while one
 * CPU at a time handles a direction, as receive queues and a socket's sends have it; of two that add in the same moment one
 * may be lost. */
#ifndef WEFT_ACCOUNT_H
#define WEFT_ACCOUNT_H

#include "abi/close.h"
#include "abi/progress.h"
#include "event.h"
#include "icmp.h"
#include "quota.h"

#define ACCOUNT_ROOM (2 << 20) /* bytes of `events` that what a sweep tells may fill: it finds connections by the thousand */
#define ACCOUNT_FEW 1024 /* an owner with more connections than this gets half of that room for their ends */

/* Which quota of its owner holds a connection. */
static __always_inline enum quota_kind account_quota(__u32 flags)
{
	return flags & CT_CALLED ? QUOTA_CALLED : QUOTA_CONNECTIONS;
}

/* Counts a packet that passes. */
static __always_inline void account_packet(struct ct *e, const struct packet *p, int from_b)
{
	struct ct_way *way = from_b ? &e->way_b : &e->way_a;

	way->carried.packets++;
	way->carried.bytes += p->end - p->l3;
}

/* How much of the ring the ends of an owner's connections may fill: an owner of many leaves room for the owners of few. */
static __always_inline __u32 account_room(const struct ct *e)
{
	return quota_held(e->owner, account_quota(e->flags)) > ACCOUNT_FEW ? ACCOUNT_ROOM / 2 : ACCOUNT_ROOM;
}

/* Room for an event. An end that a packet brings is within the events per second; a sweep keeps to its room. */
static __always_inline struct close_event *account_event(const struct ct *e, int swept)
{
	struct context *c = swept ? NULL : context_here();
	struct close_event *x = NULL;

	if (c && !event_allowed(c->now, 0, e->owner))
		return NULL;
	if (!swept || bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) < account_room(e))
		x = bpf_ringbuf_reserve(&events, sizeof(*x), 0);
	if (!x)
		event_lost();
	return x;
}

/* The type of the ICMP message that opened a connection, read from what stands for its ports: see icmp_ports. */
static __always_inline __u16 account_type(__u8 asks, int from_b, __u16 src_port, __u16 dst_port)
{
	if (asks == CT_TELLS_A || asks == CT_TELLS_B)
		return src_port - 1;
	return asks == (from_b ? CT_ASKS_B : CT_ASKS_A) ? dst_port : icmp_answer(src_port);
}

/* Writes what the event of a connection says of it, but for what it has carried. Returns whether b opened it. */
static __always_inline int account_who(struct close_event *x, const struct ct_key *key, const struct ct *e, __u32 type)
{
	int from_b = !!(e->flags & CT_FROM_B), called = (e->flags & CT_CALLED) || e->source == IDENTITY_HOST;

	__builtin_memset(x, 0, sizeof(*x));
	x->event.time = bpf_ktime_get_ns();
	x->event.type = type;
	x->event.flags = key->net * EVENT_NETWORK;
	x->event.direction = called ? DIRECTION_INGRESS : DIRECTION_EGRESS;
	x->event.protocol = key->protocol;
	x->event.source = e->source;
	x->event.destination = e->destination;
	x->event.src = from_b ? key->b : key->a;
	x->event.dst = from_b ? key->a : key->b;
	x->event.src_port = bpf_ntohs(from_b ? key->b_port : key->a_port);
	x->event.dst_port = bpf_ntohs(from_b ? key->a_port : key->b_port);
	if (key->protocol == IPPROTO_ICMP || key->protocol == IPPROTO_ICMPV6) {
		x->event.src_port = account_type(key->asks, from_b, x->event.src_port, x->event.dst_port);
		x->event.dst_port = 0;
	}
	if (e->flags & (CT_SERVICE | CT_NAMED)) {
		x->event.flags |= EVENT_SERVICE;
		x->event.service = e->service;
		x->event.service_port = bpf_ntohs(e->service_port);
	}
	x->opened = e->opened;
	x->last = (__s64)(e->last - e->opened) > 0 ? e->last : e->opened;
	return from_b;
}

/* What earlier events have told of a connection that ends goes into the one of its end, if there is one, and is forgotten. The
 * sweep may tell more of it in this moment: which of the two was first says `half`, see progress.h. */
static __always_inline void account_told(const struct ct_key *at, struct close_event *x, int from_b)
{
	struct ct_key key = *at; /* kernels before 6.2 take no key from an argument's memory */
	struct progress *p = bpf_map_lookup_elem(&progress, &key);
	__u32 half;

	if (!p)
		return;
	half = __sync_lock_test_and_set(&p->half, PROGRESS_OVER);
	if (x && half < PROGRESS_OVER) {
		half &= 1;
		x->told_sent = from_b ? p->way_b[half] : p->way_a[half];
		x->told_received = from_b ? p->way_a[half] : p->way_b[half];
	}
	bpf_map_delete_elem(&progress, &key);
}

/* Emits the event of a connection's end: once, for the CPU that sets the flag, and only if a packet of it has passed. What comes
 * after both FINs, like the last acknowledgement, is not counted in it. */
GLOBAL account_end(const struct ct_key *key, struct ct *e, __u32 ending, int swept)
{
	struct close_event *x = NULL;
	int from_b = 0;
	__u32 before;

	if (!key || !e || (e->flags & CT_ENDED))
		return 0;
	before = __sync_fetch_and_or(&e->flags, CT_ENDED);
	if (before & CT_ENDED)
		return 0;
	if (e->way_a.carried.packets || e->way_b.carried.packets)
		x = account_event(e, swept);
	if (x) {
		from_b = account_who(x, key, e, EVENT_CLOSE);
		x->sent = from_b ? e->way_b.carried : e->way_a.carried;
		x->received = from_b ? e->way_a.carried : e->way_b.carried;
		x->ending = ending;
	}
	if (before & CT_PROGRESS)
		account_told(key, x, from_b);
	if (x)
		bpf_ringbuf_submit(x, 0);
	return 0;
}

#endif
