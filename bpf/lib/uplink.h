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

/* It passes: its connection goes on, and is told where that is new. */
static __always_inline int uplink_pass(struct __sk_buff *skb, struct context *c, struct flow *f, __u32 way)
{
	int reason = ct_update(c, f);

	if (reason)
		return drop(skb, c, reason);
	deliver_report(skb, c, f, way);
	return TC_ACT_OK;
}

#endif
