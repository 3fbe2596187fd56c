/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* to_uplink: what NICs of workloads send out of the uplink that they share (egress, before to_net). What is the node's own goes on to the
 * next program. */
#include "lib/uplink.h"

SEC("tc")
int to_uplink(struct __sk_buff *skb)
{
	struct context *c;
	struct station *wire = station_uplink(skb->ifindex), *s;
	struct nic *n;
	struct frame e;

	if (!wire)
		return UPLINK_NEXT;
	c = context_of(HOOK_TO_UPLINK);
	if (!c || frame_read(skb, &e))
		return TC_ACT_SHOT;
	c->audited = station_audits(wire);
	s = station_of(skb->ifindex, e.src);
	if (!s)
		return station_refuse(skb, c);
	if (s->flags & STATION_NODE)
		return UPLINK_NEXT;
	c->audited = station_audits(s);
	n = nic_at(s->nic);
	if (!n)
		return drop(skb, c, DROP_NIC_NOT_READY);
	c->net = n->net;
	c->incarnation = n->incarnation;
	c->packet.owner = n->incarnation;
	c->source = n->identity;
	if (!station_signed(skb, s, frame_is_group(&e)))
		return station_refuse(skb, c);
	bpf_set_hash_invalid(skb);
	return counted(skb, c, uplink_leaves(skb, c, n, guard(skb, c, n, &e), EVENT_TO_NETWORK, 0));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
