/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* from_bridged: what a workload sends by a NIC whose other side is a port of a bridge, at that port (ingress, before the bridge). */
#include "lib/bridged.h"

/* A frame with a tag, which the bridge puts into its VLAN, or drops. Policies know no addresses there. */
static __always_inline int tagged_leaves(struct __sk_buff *skb, struct context *c, const struct nic *n, const struct frame *e)
{
	return __builtin_memcmp(e->src, n->mac, 6) ? drop(skb, c, DROP_INVALID_SOURCE_MAC) : TC_ACT_OK;
}

SEC("tc")
int from_bridged(struct __sk_buff *skb)
{
	struct station *port = bridged_port(skb->ifindex);
	struct context *c;
	struct nic *n;
	struct frame e;
	__u32 sign;
	int reason;

	if (!port)
		return UPLINK_NEXT;
	c = context_of(HOOK_FROM_BRIDGED);
	if (!c || frame_read(skb, &e))
		return TC_ACT_SHOT;
	bpf_set_hash_invalid(skb);
	if (!port->nic)
		return station_of(skb->ifindex, e.src) ? UPLINK_NEXT : station_refuse(skb, c);
	n = bridged_begin(c, port);
	if (!n)
		return drop(skb, c, DROP_NIC_NOT_READY);
	c->source = n->identity;
	if (skb->vlan_present && (port->flags & STATION_TRUNK))
		return tagged_leaves(skb, c, n, &e);
	reason = guard(skb, c, n, &e);
	sign = reason > 0 ? 0 : bridged_sign(port, n); /* of one that is audited, what the guard refuses goes on as of no NIC */
	reason = uplink_leaves(skb, c, n, reason, EVENT_TO_NETWORK, reason == GUARD_JUDGE ? bridged_again(c) : 0);
	if (reason != TC_ACT_SHOT && sign)
		bpf_set_hash(skb, sign);
	return counted(skb, c, reason);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
