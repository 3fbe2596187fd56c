/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* deliver: into a workload of this node: the verdict of its NIC, what a service gives back, and the last step. */
#ifndef WEFT_DELIVER_H
#define WEFT_DELIVER_H

#include "drop.h"
#include "fragment.h"
#include "mark.h"
#include "nic.h"
#include "open.h"
#include "related.h"
#include "reply.h"
#include "verdict.h"

/* Drops a packet that policy refuses. A connection that it has just opened is removed again, and what has been chosen for it. */
static __always_inline int deliver_refuse(struct __sk_buff *skb, struct context *c, struct flow *f, int reason)
{
	if (f->is_new) {
		ct_remove(f->key);
		nat_refused();
	}
	return drop(skb, c, reason);
}

/* What is to be told of how a call from outside goes on. */
static __always_inline __u32 deliver_led(const struct ct *e)
{
	return e ? (e->flags & CT_CARRIED ? EVENT_SNAT : 0) | (e->flags & (CT_ONE_WAY | CT_TOLD) ? EVENT_DSR : 0) : 0;
}

/* Emits an event for the first packet of a connection and for its first answer, for no other packet. */
static __always_inline void deliver_report(struct __sk_buff *skb, struct context *c, struct flow *f, __u32 way)
{
	__u32 kept = c->event_flags;

	if (!f->is_new && !c->touched)
		return;
	event_name(c, f->entry);
	c->event_flags |= way | deliver_led(f->entry) | c->touched | (f->is_new ? EVENT_NEW : 0) | (f->reply ? EVENT_REPLY : 0);
	c->direction = f->reply ? DIRECTION_INGRESS : DIRECTION_EGRESS;
	event_emit(skb, c, EVENT_TRACE, 0);
	c->event_flags = kept;
}

/* Into a workload of this node, past its host side (bpf_redirect_peer). From a netkit hook, which transmits, the kernel
 * knows no such way: there it goes through the host side, where to_pod sees that it has been judged. */
static __always_inline int deliver_into(struct __sk_buff *skb, const struct nic *n, __u32 ifindex)
{
	if (rewrite_macs(skb, n->mac, n->host_mac))
		return TC_ACT_SHOT;
	if (config.at_netkit) {
		mark_set(skb, 0, MARK_DELIVERED);
		return bpf_redirect(ifindex, 0);
	}
	mark_clear(skb);
	return bpf_redirect_peer(ifindex, 0);
}

/* Ingress of a local workload for a packet that came past the host's stack. `f` is found already. TC_ACT_OK: it is an ICMP
 * error about a connection that passes the stack, and has to go there, too. */
static __noinline int deliver_local(struct __sk_buff *skb, struct context *c, struct flow *f, __u32 ifindex)
{
	struct nic *n = nic_at(ifindex);
	int reason;

	if (!n)
		return drop(skb, c, DROP_NIC_NOT_READY);
	if (icmp_is_special(&c->packet)) {
		reason = related(skb, 1);
		if (reason)
			return drop(skb, c, reason);
		return c->event_flags & EVENT_TO_STACK ? TC_ACT_OK : deliver_into(skb, n, ifindex);
	}
	if (!f->entry) {
		c->packet.owner = n->incarnation;
		reason = open_call(f, CT_CALLED);
		if (!f->entry)
			return drop(skb, c, reason);
	}
	reason = policy_reason(verdict_at(skb, c, f, n, f->reply));
	if (reason)
		return deliver_refuse(skb, c, f, reason);
	reason = ct_update(c, f);
	if (!reason)
		reason = reply_service(skb, c, f);
	if (reason)
		return drop(skb, c, reason);
	deliver_report(skb, c, f, 0);
	return deliver_into(skb, n, ifindex);
}

/* Remembers a first fragment that may pass, so that the rest of its datagram follows; in the quota of the NIC that gets it, else of
 * its packet's owner: the service that it calls, or the node. */
GLOBAL deliver_lead(struct __sk_buff *skb, int action, __u32 ifindex)
{
	struct context *c = context_here();
	struct nic *n = ifindex ? nic_at(ifindex) : NULL;
	int reason;

	if (!c || action == TC_ACT_SHOT)
		return TC_ACT_SHOT;
	reason = fragment_keep(n ? n->incarnation : c->packet.owner);
	return reason ? drop(skb, c, reason) : action;
}

/* The same, if it is a first fragment. ifindex is that of the NIC that gets it; 0: none of this node. */
static __always_inline int deliver_rest(struct __sk_buff *skb, struct context *c, int action, __u32 ifindex)
{
	return c->packet.first_fragment ? deliver_lead(skb, action, ifindex) : action;
}

#endif
