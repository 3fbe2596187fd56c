/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* uplink: the policies of NICs that share an uplink, asked there, where no workload can take the programs away. */
#ifndef WEFT_UPLINK_H
#define WEFT_UPLINK_H

#include "deliver.h"
#include "guard.h"

#define UPLINK_NEXT TC_ACT_UNSPEC /* no NIC's: the next program on the device decides */

/* Egress of the NIC that has sent a packet. Finds its connection, or opens it. Returns 0 or a drop reason. */
static __noinline int uplink_sends(struct __sk_buff *skb, struct context *c, struct flow *f, struct nic *n)
{
	struct packet *p = &c->packet;
	int reason;

	c->source = n->identity;
	c->destination = ipcache_identity(ipcache_lookup(&p->dst, c->net), p->v6);
	reason = fragment_learn(c, n->incarnation);
	if (reason || icmp_is_special(p))
		return reason;
	ct_find(c, p, f);
	if (!f->entry) {
		reason = open_connection(f, 0);
		if (!f->entry)
			return reason;
	}
	return policy_reason(verdict_at(skb, c, f, n, !f->reply));
}

/* Ingress of the NIC that gets it. */
static __noinline int uplink_gets(struct __sk_buff *skb, struct context *c, struct flow *f, struct nic *n)
{
	int reason;

	c->destination = n->identity;
	if (!f->entry) {
		ct_find(c, &c->packet, f);
		if (!f->entry) {
			c->packet.owner = n->incarnation;
			reason = open_connection(f, CT_CALLED);
			if (!f->entry)
				return reason;
		}
	}
	return policy_reason(verdict_at(skb, c, f, n, f->reply));
}

/* It passes: its connection goes on, and is told where that is new. `again` is FLOW_AGAIN, or 0. */
static __always_inline int uplink_pass(struct __sk_buff *skb, struct context *c, struct flow *f, __u32 way, int again)
{
	int reason = ct_follow(c, f->entry, flow_how(f) | again);

	if (reason)
		return drop(skb, c, reason);
	deliver_report(skb, c, f, way);
	return TC_ACT_OK;
}

/* What a NIC sends and the guard has said `reason` of: its egress. */
static __always_inline int uplink_leaves(struct __sk_buff *skb, struct context *c, struct nic *n, int reason, __u32 way, int again)
{
	struct flow f = { .key = &c->key };

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
	return uplink_pass(skb, c, &f, way, again);
}

/* What a NIC, whose key of nics is `nic`, gets from others than NICs of this node, or from one whose egress has been asked: its ingress. `sender`
 * is the key of the NIC that has sent it for certain, if one has; SENDER_SOME: one whose addresses have been checked. No other may have the
 * address of a NIC of this node. */
#define SENDER_SOME 1

static __always_inline int uplink_enters(struct __sk_buff *skb, struct context *c, struct nic *to, __u32 nic, __u32 sender)
{
	struct packet *p = &c->packet;
	struct flow f = { .key = &c->key };
	struct ipcache *from;
	int reason;

	if (skb->protocol == bpf_htons(ETH_P_ARP))
		return TC_ACT_OK;
	reason = parse(skb, p);
	if (reason)
		return drop(skb, c, reason);
	if (neighbor_is_talk(p))
		return TC_ACT_OK;
	from = ipcache_lookup(&p->src, c->net);
	c->source = ipcache_identity(from, p->v6);
	c->destination = to->identity;
	if (ipcache_is_local_pod(from) && sender != SENDER_SOME && from->ifindex != sender)
		return drop(skb, c, DROP_INVALID_SOURCE_IP);
	if (guard_is_offer(p))
		return TC_ACT_OK;
	reason = fragment_meet(c);
	if (reason)
		return drop(skb, c, reason);
	if (icmp_is_special(p)) {
		reason = related(skb, 0);
		return reason ? drop(skb, c, reason) : TC_ACT_OK;
	}
	reason = uplink_gets(skb, c, &f, to);
	if (reason || !f.entry)
		return deliver_refuse(skb, c, &f, reason);
	return deliver_rest(skb, c, uplink_pass(skb, c, &f, 0, 0), nic);
}

#endif
