/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* from_nic: what a workload sends by a NIC that shares an uplink, at the NIC itself, in the workload's namespace (egress). It keeps the
 * NIC from speaking for others, and signs what goes on: the uplink's programs ask policy. */
#include "lib/guard.h"
#include "lib/inside.h"

static __always_inline int group_leaves(struct __sk_buff *skb, struct context *c, struct nic *n)
{
	c->destination = ipcache_identity(ipcache_lookup(&c->packet.dst, c->net), c->packet.v6);
	return guard_ask(c, n, DIRECTION_EGRESS);
}

SEC("tc")
int from_nic(struct __sk_buff *skb)
{
	struct context *c = context_of(HOOK_FROM_NIC);
	struct nic *n = c ? inside_begin(c) : NULL;
	struct frame e;
	int reason;

	if (!n)
		return c ? drop(skb, c, DROP_NIC_NOT_READY) : TC_ACT_SHOT;
	c->source = n->identity;
	reason = frame_read(skb, &e) ? DROP_INVALID : guard(skb, c, n, &e);
	if (reason == GUARD_GROUP)
		reason = group_leaves(skb, c, n);
	if (reason > 0 && drop(skb, c, reason) == TC_ACT_SHOT)
		return TC_ACT_SHOT;
	bpf_set_hash(skb, frame_is_group(&e) ? inside.group_sign : inside.sign);
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
