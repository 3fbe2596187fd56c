/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* drop: the one way out for a packet that is dropped, and the counters, of what passes too. */
#ifndef WEFT_DROP_H
#define WEFT_DROP_H

#include "addr.h"
#include "event.h"

static __always_inline void count_bytes(__u32 bytes, __u32 hook, __u32 reason)
{
	__u32 at = hook << 8 | (reason & 0xff);
	struct counter *n = bpf_map_lookup_elem(&counters, &at);

	if (n) {
		n->packets++;
		n->bytes += bytes;
	}
}

static __always_inline void count(struct __sk_buff *skb, __u32 hook, __u32 reason)
{
	count_bytes(skb->len, hook, reason);
}

/* The one way out for a drop. Where nothing is to be dropped (policy-networks: audit) it passes, and is told as audited. Multicast chatter of
 * a workload's own stack is counted, but gives no event. */
GLOBAL drop(struct __sk_buff *skb, struct context *c, __u32 reason)
{
	if (!c)
		return TC_ACT_SHOT;
	if (c->audited) {
		c->verdict = VERDICT_AUDIT;
		c->rules = 0;
		c->match = 0;
		if (!addr_is_multicast(&c->packet.dst))
			event_emit(skb, c, EVENT_VERDICT, reason);
		return TC_ACT_OK;
	}
	count(skb, c->hook, reason);
	if (!addr_is_multicast(&c->packet.dst))
		event_emit(skb, c, EVENT_DROP, reason);
	return TC_ACT_SHOT;
}

/* Counts a packet that a hook passes on; what it drops is counted by drop(). */
static __always_inline int counted(struct __sk_buff *skb, struct context *c, int action)
{
	if (action != TC_ACT_SHOT)
		count(skb, c->hook, 0);
	return action;
}

#endif
