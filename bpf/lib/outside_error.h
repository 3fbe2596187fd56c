/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* outside_error: ICMP errors about calls of services by machines outside, and about the answers: each end hears of what it has sent itself. */
#ifndef WEFT_OUTSIDE_ERROR_H
#define WEFT_OUTSIDE_ERROR_H

#include "context.h"
#include "ct.h"
#include "nat.h"
#include "quoted.h"
#include "rewrite.h"

/* An error about an answer, for the backend that gave it: it must find what it sent. Returns 0 or a drop reason; c->event_flags tells
 * what was done. */
GLOBAL outside_error(struct __sk_buff *skb)
{
	struct context *c = context_here();
	struct packet *p, *q;
	struct nat_key *key;
	struct nat *known;
	int reason;

	if (!c)
		return DROP_INVALID;
	p = &c->packet;
	q = &c->quoted;
	key = &c->other_way;
	__builtin_memset(q, 0, sizeof(*q));
	__builtin_memset(key, 0, sizeof(*key));
	if (parse_quoted(skb, p, q) || !addr_equal(&p->dst, &q->src))
		return 0;
	nat_key_of_quoted(c, q, key);
	key->kind = NAT_SERVICE;
	known = bpf_map_lookup_elem(&translations, key);
	if (!known)
		return 0;
	c->nat = *known;
	c->event_flags |= EVENT_SERVICE;
	reason = rewrite_quoted(skb, p, q, SIDE_SOURCE, &c->nat.addr, c->nat.port);
	if (!reason && c->nat.source_port)
		reason = rewrite_quoted(skb, p, q, SIDE_DESTINATION, &q->dst, c->nat.source_port);
	return reason ? reason : rewrite(skb, p, SIDE_DESTINATION, &c->nat.addr, p->dst_port);
}

/* An error of the node itself about a call whose backend it is: the client hears of what it sent, from what it called. Returns 0 or a
 * drop reason. */
GLOBAL outside_complaint(struct __sk_buff *skb)
{
	struct context *c = context_here();
	struct flow f = {};
	struct packet *p, *q;
	int reason, backends;

	if (!c)
		return DROP_INVALID;
	p = &c->packet;
	q = &c->quoted;
	__builtin_memset(q, 0, sizeof(*q));
	if (parse_quoted(skb, p, q) || !addr_equal(&p->dst, &q->src))
		return 0;
	ct_find(c, q, &f);
	if (!f.entry || f.reply || !(f.entry->flags & CT_SERVICE))
		return 0;
	backends = addr_equal(&p->src, &q->dst);
	c->service = f.entry->service;
	reason = rewrite_quoted(skb, p, q, SIDE_DESTINATION, &c->service, f.entry->service_port);
	if (!reason && f.entry->client_port)
		reason = rewrite_quoted(skb, p, q, SIDE_SOURCE, &q->src, f.entry->client_port);
	return reason || !backends ? reason : rewrite(skb, p, SIDE_SOURCE, &c->service, p->src_port);
}

#endif
