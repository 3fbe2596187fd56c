/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* reply: what a service gives back (reverse NAT): its address for the backend's, and the source of a workload that called
 * itself. */
#ifndef WEFT_REPLY_H
#define WEFT_REPLY_H

#include "ct.h"
#include "rewrite.h"

/* Towards the client of a service its replies come from the service, to the port that it called from. */
static __always_inline int reply_service(struct __sk_buff *skb, struct context *c, struct flow *f)
{
	struct packet *p = &c->packet;
	struct ct *e = f->entry;
	int reason;

	if (!f->reply)
		return 0;
	if (e->client_port) {
		reason = rewrite(skb, p, SIDE_DESTINATION, &p->dst, e->client_port);
		if (reason)
			return reason;
	}
	if (!(e->flags & CT_SERVICE))
		return 0;
	c->event_flags |= EVENT_SERVICE;
	c->service = e->service;
	c->service_port = e->service_port;
	return rewrite(skb, p, SIDE_SOURCE, &c->service, c->service_port);
}

/* A workload that called itself through a service must see another address call. */
static __always_inline int reply_loopback_source(struct __sk_buff *skb, struct context *c)
{
	struct packet *p = &c->packet;
	struct addr from = config_loopback(p->v6);

	return rewrite(skb, p, SIDE_SOURCE, &from, p->src_port);
}

/* Its answer goes to the workload itself. */
static __always_inline int reply_loopback(struct __sk_buff *skb, struct context *c)
{
	struct packet *p = &c->packet;
	struct addr self = p->src;

	return rewrite(skb, p, SIDE_DESTINATION, &self, p->dst_port);
}

#endif
