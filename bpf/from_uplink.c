/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* from_uplink: what comes in by an uplink that NICs of workloads share (ingress, before from_net): off the wire, and, since macvlan in mode
 * bridge receives it there, what one such NIC sends to another. What is for the node goes on to the next program. */
#include <linux/if_packet.h>
#include "lib/uplink.h"

/* A packet of one NIC of this node to another: egress of the former, then ingress of the latter. */
static __always_inline int between(struct __sk_buff *skb, struct context *c, struct nic *from, struct nic *to, const struct frame *e,
				   const struct station *receiver)
{
	struct flow f = { .key = &c->key };
	int reason;

	c->source = from->identity;
	c->packet.owner = from->incarnation;
	reason = guard(skb, c, from, e);
	if (reason == GUARD_PASS)
		return TC_ACT_OK;
	if (reason == GUARD_JUDGE)
		reason = uplink_sends(skb, c, &f, from);
	if (!reason && icmp_is_special(&c->packet)) {
		reason = related(skb, 0);
		return reason ? drop(skb, c, reason) : TC_ACT_OK;
	}
	if (!reason) {
		c->audited = station_audits(receiver);
		reason = uplink_gets(skb, c, &f, to);
	}
	if (reason || !f.entry)
		return deliver_refuse(skb, c, &f, reason);
	return uplink_pass(skb, c, &f, 0, 0);
}

/* What is for no NIC of a workload. The kernel gives a frame of one such NIC that is for another to it by way of the uplink: it is signed,
 * and if no NIC is known by that address it is one that a workload has made up. */
static __always_inline int for_node(struct __sk_buff *skb, struct context *c, const struct station *d)
{
	return d || skb->pkt_type == PACKET_HOST ? UPLINK_NEXT : station_refuse(skb, c);
}

SEC("tc")
int from_uplink(struct __sk_buff *skb)
{
	struct station *wire = station_uplink(skb->ifindex), *s, *d;
	struct nic *from, *to;
	struct context *c;
	struct frame e;

	if (!wire)
		return UPLINK_NEXT;
	c = context_of(HOOK_FROM_UPLINK);
	if (!c || frame_read(skb, &e))
		return TC_ACT_SHOT;
	c->audited = station_audits(wire);
	s = station_of(skb->ifindex, e.src);
	if (s && (s->flags & STATION_NODE))
		s = NULL;
	if (frame_is_group(&e)) {
		if (s && !(s->flags & STATION_APART)) /* else the switch would send back what it got */
			return station_refuse(skb, c);
		bpf_set_hash(skb, wire->group_sign);
		return UPLINK_NEXT;
	}
	d = station_of(skb->ifindex, e.dst);
	if (!d || (d->flags & STATION_NODE))
		return for_node(skb, c, d);
	to = nic_at(d->nic);
	if (!to)
		return drop(skb, c, DROP_NIC_NOT_READY);
	c->audited = station_audits(d);
	c->net = to->net;
	c->incarnation = to->incarnation;
	if (!s || (s->flags & STATION_APART))
		return counted(skb, c, uplink_enters(skb, c, to, d->nic, s ? s->nic : 0)); /* what comes back by way of the switch, too */
	c->audited = station_audits(s) && station_audits(d); /* what a NIC may not say at all reaches none that is closed */
	from = nic_at(s->nic);
	if (!from || !station_signed(skb, s, 0))
		return station_refuse(skb, c);
	bpf_set_hash_invalid(skb);
	return counted(skb, c, between(skb, c, from, to, &e, d));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
