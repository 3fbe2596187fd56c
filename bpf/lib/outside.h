/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* outside: calls of services by machines outside, at the node that they come to: node ports, external and load-balancer addresses. A pod
 * here gets the packet as its client sent it, but for the target; to a backend on another node it goes on with this node's address
 * (SNAT), so that the answer comes back here, or with the client's, so that it need not (dsr.h). Answers leave with the address that was
 * called. docs/packet-path.md draws it. */
#ifndef WEFT_OUTSIDE_H
#define WEFT_OUTSIDE_H

#include "clash.h"
#include "dsr.h"
#include "geneve.h"
#include "masquerade.h"
#include "outside_error.h"
#include "outside_here.h"
#include "path.h"
#include "reject.h"

static __always_inline int outside_out(struct __sk_buff *skb, struct context *c)
{
	path_lead(c, ipcache_lookup(&c->packet.dst, c->net));
	return path_out(skb, c);
}

/* An error about an answer, on to the backend that is not here. */
static __always_inline int outside_carry_error(struct __sk_buff *skb, struct context *c)
{
	struct flow f = {};
	int reason;

	ct_find(c, &c->quoted, &f);
	if (f.entry && (f.entry->flags & CT_ONE_WAY))
		return geneve.on && geneve_leads() ? geneve_out(skb, 0) : outside_out(skb, c);
	reason = masquerade_error(skb, c);
	return reason ? drop(skb, c, reason) : outside_out(skb, c);
}

/* Whether the backend of a new call answers straight to the client. What could not carry the option goes on by SNAT, as what has
 * another source port than the client knows, and calls of nodes, pods and what lies behind a VTEP: their packets come from their own
 * nodes alone, and not to themselves. So does a segment of TCP whose backend is gone: it is to be reset from what it called. */
static __always_inline int outside_is_direct(struct __sk_buff *skb, struct context *c)
{
	struct ipcache *client;

	if (!(c->service_flags & SERVICE_DIRECT) || c->client_port || (!geneve.on && (skb->gso_size || dsr_may_be(&c->packet))))
		return 0;
	if (c->packet.protocol == IPPROTO_TCP && !tcp_opens(&c->packet))
		return 0;
	client = ipcache_lookup(&c->packet.src, c->net);
	if (client && ((client->flags & (IPCACHE_LOCAL | IPCACHE_NODE | IPCACHE_DIRECT | IPCACHE_VTEP)) || !addr_is_zero(&client->tunnel)))
		return 0;
	if (geneve.on)
		return geneve_leads();
	return c->hop.path != PATH_DIRECT || dsr_reaches(skb);
}

/* Whether a packet of a connection whose backend answers straight to the client says what was called. Of UDP a later one that could not
 * carry it need not: the backend's node knows it by then. */
static __always_inline int outside_tells(struct __sk_buff *skb, struct context *c, const struct flow *f)
{
	const struct packet *p = &c->packet;

	if (p->later_fragment || (p->protocol == IPPROTO_TCP && !tcp_opens(p)))
		return 0;
	if (c->hop.path == PATH_GENEVE)
		return 1;
	if (skb->gso_size || dsr_may_be(p))
		return 0;
	return f->is_new || c->hop.path != PATH_DIRECT || p->end - p->l3 < DSR_ALWAYS_FITS || dsr_reaches(skb);
}

/* Into the overlay for calls by DSR. What is too long for that, and may not be sent in pieces, its client is told of, by what it called. */
GLOBAL outside_wrap(struct __sk_buff *skb, int tells)
{
	struct context *c = context_here();
	int mtu = geneve_narrow(skb, tells);

	if (!c)
		return TC_ACT_SHOT;
	if (!mtu)
		return geneve_out(skb, tells);
	drop(skb, c, DROP_TOO_BIG);
	if (rewrite(skb, &c->packet, SIDE_DESTINATION, &c->service, c->service_port))
		return TC_ACT_SHOT;
	return reject_outside(skb, mtu);
}

/* On to a backend that is not here: with this node's address, or with the client's where the answer need not come by here. */
static __always_inline int outside_carry(struct __sk_buff *skb, struct context *c, struct flow *f)
{
	struct addr as = lb_node(c->packet.v6);
	int reason = 0, direct;

	if (addr_is_zero(&as))
		return drop(skb, c, DROP_NAT_NO_MAPPING);
	path_lead(c, ipcache_lookup(&c->packet.dst, c->net));
	if (!f->entry) {
		direct = outside_is_direct(skb, c);
		reason = open_call(f, CT_CALLED | (direct ? CT_ONE_WAY : CT_CARRIED));
	}
	if (!f->entry)
		return drop(skb, c, reason);
	reason = ct_update(c, f);
	if (reason)
		return drop(skb, c, reason);
	direct = f->entry->flags & CT_ONE_WAY;
	if (direct && geneve.on)
		geneve_leads();
	deliver_report(skb, c, f, c->hop.path == PATH_DIRECT ? EVENT_TO_NETWORK : EVENT_TO_OVERLAY);
	if (!direct) {
		reason = masquerade_out(skb, &as);
		if (reason == DROP_QUOTA && open_yields(c->packet.owner))
			reason = masquerade_out(skb, &as);
		quota_stands(reason, c->packet.owner, QUOTA_TRANSLATIONS);
	} else if (c->hop.path == PATH_GENEVE) {
		return outside_wrap(skb, outside_tells(skb, c, f));
	} else if (outside_tells(skb, c, f)) {
		reason = dsr_write(skb);
	} else if (tcp_opens(&c->packet)) { /* its backend would answer it as a call of its own */
		reason = DROP_NAT_NO_MAPPING;
	}
	return reason ? deliver_refuse(skb, c, f, reason) : path_out(skb, c);
}

/* Makes a call of a service one of a backend, and finds its connection. GO_ON: it is none, or its backend is a pod of this node, where its
 * connection is found. 0: its backend is elsewhere, or this node itself. Else a drop reason. */
static __always_inline int outside_lead(struct __sk_buff *skb, struct context *c, struct flow *f)
{
	int error = c->packet.icmp_error, reason = error ? outside_error(skb) : service_translate(skb);
	struct ipcache *h;

	if (reason == DROP_QUOTA && open_yields(c->packet.owner))
		reason = service_translate(skb);
	quota_stands(reason, c->packet.owner, QUOTA_TRANSLATIONS);
	if (!reason && !(c->event_flags & EVENT_SERVICE))
		return GO_ON;
	h = ipcache_lookup(&c->packet.dst, c->net);
	c->destination = ipcache_identity(h, c->packet.v6);
	f->key = &c->key; /* the verifier does not see that an error opens no connection */
	if (!reason && h && (h->flags & IPCACHE_LOCAL) && (error || !ipcache_is_this_node(h)))
		return GO_ON;
	if (!reason && !error)
		reason = clash_meet(skb, c, f);
	if (reason || error || f->entry)
		return reason;
	reason = outside_part(skb);
	ct_key_of(&c->packet, c->net, f); /* a port that it has taken is free: nothing lies there */
	if (reason > 0)
		f->stale = 0;
	return reason < 0 ? -reason : 0;
}

/* A call that comes by a device of the node, or an error about the answer to one. GO_ON: others give the action. */
GLOBAL outside_call(struct __sk_buff *skb)
{
	struct context *c = context_here();
	struct flow f = {};
	int reason;

	if (!c || !lb_leads())
		return GO_ON;
	reason = c->told ? GO_ON : outside_lead(skb, c, &f);
	if (reason == GO_ON) {
		if (c->packet.protocol != IPPROTO_UDP || (!c->told && (c->event_flags & EVENT_SERVICE)))
			return GO_ON;
		reason = outside_apart(skb);
		if (!reason)
			return GO_ON;
	} else if (!reason && outside_is_here(c)) {
		reason = outside_stay(c, &f);
		if (!reason)
			return GO_ON;
	} else if (!reason) {
		return c->packet.icmp_error ? outside_carry_error(skb, c) : outside_carry(skb, c, &f);
	}
	drop(skb, c, reason);
	return reason == DROP_NO_BACKEND ? reject_outside(skb, 0) : TC_ACT_SHOT;
}

/* A call that comes by the overlay, or an error about the answer: a pod of another node calls a hostPort here, or a node port that each node
 * leads to backends of its own; others are translated where the caller lives. GO_ON: others give the action. */
GLOBAL outside_enter(struct __sk_buff *skb)
{
	struct context *c = context_here();
	struct flow f = {};
	int reason;

	if (!c || !lb_leads() || c->told)
		return GO_ON;
	reason = outside_lead(skb, c, &f);
	if (reason == GO_ON || (!reason && outside_is_here(c)))
		return GO_ON;
	drop(skb, c, reason ? reason : DROP_STALE);
	return reason == DROP_NO_BACKEND && !reject_call(skb, 0) ? outside_out(skb, c) : TC_ACT_SHOT;
}

/* Whether the packet answers a call of a service. Its connection is in `f`. */
static __always_inline int outside_is_answer(struct context *c, struct flow *f)
{
	ct_find(c, &c->packet, f);
	return f->entry && f->reply && (f->entry->flags & CT_SERVICE);
}

/* An answer to a call that was carried on from here, which has the client's address by now, or an error about one: back to the
 * client. GO_ON: it is none. */
GLOBAL outside_answer(struct __sk_buff *skb)
{
	struct context *c = context_here();
	struct flow f = {};
	int reason;

	if (!c)
		return TC_ACT_SHOT;
	if (c->packet.icmp_error) {
		reason = related(skb, 1);
		return reason ? drop(skb, c, reason) : outside_out(skb, c);
	}
	if (!outside_is_answer(c, &f))
		return GO_ON;
	reason = ct_update(c, &f);
	if (!reason)
		reason = reply_service(skb, c, &f);
	if (reason)
		return drop(skb, c, reason);
	deliver_report(skb, c, &f, EVENT_TO_NETWORK);
	return outside_out(skb, c);
}

/* The same for what comes to this node, where it may be such an answer. */
static __always_inline int outside_back(struct __sk_buff *skb, struct context *c)
{
	int mine = lb_leads() && !c->told ? masquerade_in(skb, c) : 0, action;

	if (mine < 0)
		return drop(skb, c, -mine);
	if (!mine)
		return GO_ON;
	action = outside_answer(skb);
	return action == GO_ON ? drop(skb, c, DROP_STALE) : action;
}

/* What the node itself answers as a backend leaves with the address that was called. Returns 0 or a drop reason. */
static __always_inline int outside_reply(struct __sk_buff *skb, struct context *c)
{
	struct flow f = {};
	int reason;

	if (!lb_leads() || !ipcache_is_this_node(ipcache_lookup(&c->packet.src, c->net)))
		return 0;
	if (c->packet.icmp_error)
		return outside_complaint(skb);
	if (!outside_is_answer(c, &f))
		return 0;
	lb_note(LED_HERE); /* a former version has opened it */
	reason = node_nic() ? 0 : ct_update(c, &f); /* the node's policy has followed it already */
	return reason ? reason : reply_service(skb, c, &f);
}

#endif
