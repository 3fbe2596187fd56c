/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* reply: reverse NAT of services: replies get the service's address for the backend's, and a hairpin call another source and
 * back. */
#ifndef WEFT_REPLY_H
#define WEFT_REPLY_H

#include "nat.h"
#include "rewrite.h"

/* On the way to the client a reply gets the service's address and port as source, and the client's own port. */
static __always_inline int reply_service(struct __sk_buff *skb, struct context *c, struct flow *f)
{
	struct packet *p = &c->packet;
	struct ct *e = f->entry;
	int reason;

	if (!f->reply)
		return 0;
	if ((e->flags & (CT_RESET | CT_OPEN)) == CT_RESET) { /* its call is refused */
		c->evicted = *f->key;
		nat_forget();
	}
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

/* A workload that calls itself through a service gets another source: its stack would drop a packet with its own. */
static __always_inline int reply_loopback_source(struct __sk_buff *skb, struct context *c)
{
	struct packet *p = &c->packet;
	struct addr from = config_loopback(p->v6);

	return rewrite(skb, p, SIDE_SOURCE, &from, p->src_port);
}

/* And the answer to that address goes to the workload itself. */
static __always_inline int reply_loopback(struct __sk_buff *skb, struct context *c)
{
	struct packet *p = &c->packet;
	struct addr self = p->src;

	return rewrite(skb, p, SIDE_DESTINATION, &self, p->dst_port);
}

#endif
