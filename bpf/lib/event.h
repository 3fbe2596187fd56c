/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* event: what the agent observes. One record per new connection, first answer, verdict, end and drop, never one per packet.
 * A budget per CPU keeps a flood from drowning the agent; what it holds back is counted in event_budget.lost. So that the flood of one
 * workload hides nothing of another, there is a reserve for each owner beside that. */
#ifndef WEFT_EVENT_H
#define WEFT_EVENT_H

#include "abi/event.h"
#include "context.h"

/* Packets that are dropped cost their sender nothing, so what is refused leaves half of the budget to what passes: `spare` tokens stay. */
static __always_inline __u64 event_spare(__u32 reason)
{
	return reason ? config.events_per_second / 2 : 0;
}

/* Takes a token, if more than `spare` are there. `now`: as of the last tick. Another program may have filled the budget by the exact
 * clock. */
static __always_inline int event_take(struct event_budget *b, __u64 now, __u32 per_second, __u64 spare)
{
	__u64 earned = now > b->filled ? (now - b->filled) * per_second / SECOND : 0;

	if (earned) {
		b->tokens += earned;
		if (b->tokens > per_second)
			b->tokens = per_second;
		b->filled = now;
	}
	if (b->tokens <= spare)
		return 0;
	b->tokens--;
	return 1;
}

/* Whether there may be one more event of an owner: out of the budget of all, else out of its reserve, for which the ring has room
 * that the others may not fill. */
static __always_inline int event_allowed(__u64 now, __u64 spare, __u32 owner)
{
	__u32 zero = 0, at = owner % EVENT_RESERVES;
	struct event_budget *b = bpf_map_lookup_elem(&event_budget, &zero), *own;

	if (!b)
		return 0;
	if (event_take(b, now, config.events_per_second, spare) && bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) < EVENT_ROOM)
		return 1;
	own = bpf_map_lookup_elem(&event_reserves, &at);
	if (own && event_take(own, now, config.events_per_second / EVENT_RESERVE + 1, 0))
		return 1;
	b->lost++;
	return 0;
}

/* Counts an event for which the ring has no room. */
static __always_inline void event_lost(void)
{
	__u32 zero = 0;
	struct event_budget *b = bpf_map_lookup_elem(&event_budget, &zero);

	if (b)
		b->lost++;
}

/* What was called at a socket is what the event of a connection tells. */
static __always_inline void event_name(struct context *c, const struct ct *e)
{
	if (!e || !(e->flags & CT_NAMED))
		return;
	c->event_flags |= EVENT_SERVICE;
	c->service = e->service;
	c->service_port = e->service_port;
}

/* Whose reserve an event may take of: who pays for the packet, or for its connection, else the NIC whose policy spoke. */
static __always_inline __u32 event_owner(const struct context *c)
{
	__u32 owner = c->packet.owner ? c->packet.owner : c->payer;

	return owner ? owner : c->incarnation;
}

GLOBAL event_emit(struct __sk_buff *skb, struct context *c, __u32 type, __u32 reason)
{
	struct event *e;

	if (!c || !event_allowed(c->now, event_spare(reason), event_owner(c)))
		return 0;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		event_lost();
		return 0;
	}
	e->time = context_time(c);
	e->type = type;
	e->hook = c->hook;
	e->direction = c->direction;
	e->verdict = c->verdict;
	e->reason = reason;
	e->match = c->match;
	e->protocol = c->packet.protocol;
	e->tcp_flags = c->packet.tcp_flags;
	e->flags = c->event_flags | c->net * EVENT_NETWORK;
	e->source = c->source;
	e->destination = c->destination;
	e->ifindex = skb->ifindex;
	e->incarnation = c->incarnation;
	e->rules = c->rules;
	e->length = skb->len;
	if (c->packet.protocol == IPPROTO_ICMP || c->packet.protocol == IPPROTO_ICMPV6) {
		e->src_port = c->packet.icmp_type;
		e->dst_port = c->packet.icmp_code;
	} else {
		e->src_port = bpf_ntohs(c->packet.src_port);
		e->dst_port = bpf_ntohs(c->packet.dst_port);
	}
	e->service_port = bpf_ntohs(c->service_port);
	e->staged = type == EVENT_VERDICT ? c->staged : VERDICT_NONE;
	e->pad = 0;
	e->staged_rules = type == EVENT_VERDICT ? c->staged_rules : 0;
	e->src = c->packet.src;
	e->dst = c->packet.dst;
	e->service = c->service;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

#endif
