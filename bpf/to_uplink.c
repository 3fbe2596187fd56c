/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* to_uplink: what NICs of workloads send out of the uplink that they share (egress, before to_net). What is the node's own goes on to the
 * next program. */
#include "lib/uplink.h"

static __always_inline int handle_to_uplink(struct __sk_buff *skb, struct context *c, struct nic *n, const struct frame *e)
{
	struct flow f = { .key = &c->key };
	int reason;

	reason = guard(skb, c, n, e);
	if (reason == GUARD_PASS)
		return TC_ACT_OK;
	if (reason == GUARD_GROUP) {
		c->destination = ipcache_identity(ipcache_lookup(&c->packet.dst, c->net), c->packet.v6);
		reason = guard_ask(c, n, DIRECTION_EGRESS);
		return reason ? drop(skb, c, reason) : TC_ACT_OK;
	}
	if (reason == GUARD_JUDGE)
		reason = uplink_sends(skb, c, &f, n);
	if (!reason && icmp_is_special(&c->packet)) {
		reason = related(skb, 0);
		return reason ? drop(skb, c, reason) : TC_ACT_OK;
	}
	if (reason || !f.entry)
		return deliver_refuse(skb, c, &f, reason);
	return uplink_pass(skb, c, &f, EVENT_TO_NETWORK);
}

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
	return counted(skb, c, handle_to_uplink(skb, c, n, &e));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
