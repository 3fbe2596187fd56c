/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* service: a packet to a service, of a workload or from outside, becomes a packet to one of its backends, before policy sees it. Which one:
 * lb.h. */
#ifndef WEFT_SERVICE_H
#define WEFT_SERVICE_H

#include "ct.h"
#include "lb.h"
#include "nat.h"
#include "rewrite.h"
#include "spare.h"

/* What the packet calls. */
static __always_inline struct lb_call service_call(const struct context *c)
{
	const struct packet *p = &c->packet;

	return (struct lb_call){
		.client = p->src, .dst = p->dst, .port = p->dst_port, .client_port = p->src_port, .protocol = p->protocol,
		.scope = services_here.outside && c->hook != HOOK_FROM_POD ? SCOPE_OUTSIDE : c->service_scope, .net = c->net,
	};
}

/* Whether a packet that comes from elsewhere calls a service, and is left to another proxy. Where this node leads calls on, service_translate
 * has looked already. */
GLOBAL service_is_anothers(void)
{
	struct context *c = context_here();
	struct lb_call call;

	if (!c || (c->event_flags & EVENT_SERVICE))
		return 0;
	if (services_here.outside)
		return c->called;
	call = service_call(c);
	return lb_frontend(&call) != NULL;
}

/* Whether the packet calls what is no port of a service at a cluster address. */
static __always_inline int service_refuses(const struct context *c)
{
	struct lb_call call;

	if (c->event_flags & EVENT_SERVICE)
		return 0;
	call = service_call(c);
	return lb_refuses(&call);
}

/* Keeps the choice in c->nat for a connection's later packets, at c->way_out. Returns 0 or a drop reason, of which DROP_QUOTA is not
 * counted yet. */
GLOBAL service_keep(void)
{
	struct context *c = context_here(); /* kernels before 6.2 take no key from an argument's memory */
	struct nat *old;
	int reason;

	if (!c)
		return DROP_NAT_FULL;
	old = bpf_map_lookup_elem(&translations, &c->way_out);
	if (old)
		quota_remove(&translations, &c->way_out, old->owner, QUOTA_TRANSLATIONS);
	reason = quota_try(c->nat.owner, QUOTA_TRANSLATIONS, 1, config.translations_limit, NULL);
	if (reason)
		return reason;
	return quota_insert(&translations, &c->way_out, &c->nat, c->nat.owner, QUOTA_TRANSLATIONS) ? DROP_NAT_FULL : 0;
}

/* Whether a call to a service goes on that was opened with this choice, in c->nat: its caller may repeat itself. */
GLOBAL service_goes_on(void)
{
	struct context *c = context_here();
	struct flow f = {};
	struct packet *q;

	if (!c)
		return 0;
	q = &c->quoted;
	*q = c->packet;
	q->dst = c->nat.addr;
	q->dst_port = c->nat.port;
	if (c->nat.source_port)
		q->src_port = c->nat.source_port;
	if (addr_equal(&q->src, &q->dst))
		q->src = config_loopback(q->v6);
	ct_find(c, q, &f);
	if (f.entry)
		c->destination = f.entry->destination; /* until the packet's own is known */
	return f.entry && !f.reply && (f.entry->flags & CT_SERVICE) && f.entry->service_port == c->packet.dst_port &&
	       addr_equal(&f.entry->service, &c->packet.dst);
}

/* Whether a packet began its connection before this node translated such calls. From outside: another proxy has its state, or none,
 * and then the node's stack says so to the client. From a pod: it goes on to where no policy led it. */
static __always_inline int service_began_before(const struct lb_call *call, const struct service *s, int midway)
{
	return midway && (call->scope == SCOPE_OUTSIDE || (s->flags & SERVICE_PASSES));
}

/* The frontend of a call; of one that comes from elsewhere there is none while this node leads none on. */
static __always_inline struct service *service_of(const struct context *c, const struct lb_call *call)
{
	return c->hook == HOOK_FROM_POD || services_here.outside ? lb_frontend(call) : NULL;
}

/* Whether a call that is open, with the choice in c->nat, goes on although what offered its service is turned off, the Service is gone,
 * or its backend is no longer one of it: while the backend is a place that is known. Of TCP another pod that has its address by now resets what
 * is open; datagrams it would take. */
GLOBAL service_outlives(void)
{
	struct context *c = context_here();
	struct backend *b;
	struct ipcache *h;

	if (!c || !service_goes_on())
		return 0;
	b = lb_backend(c->nat.backend);
	if (b && b->port == c->nat.port && addr_equal(&b->addr, &c->nat.addr))
		return 1;
	h = ipcache_exact(&c->nat.addr, c->net);
	return h && (c->packet.protocol == IPPROTO_TCP || h->identity == c->destination);
}

/* Puts the backend that the service's table has for the call into c->nat; 0: none. On its own, for the stack of service_choose is full. */
GLOBAL service_hash(const struct service *s)
{
	struct context *c = context_here();
	struct lb_call call;

	if (!c || !s)
		return 0;
	call = service_call(c);
	c->nat.backend = lb_hashed(&call, s);
	return 0;
}

#define SERVICE_BEHIND (-1) /* the call passes this frontend: service_translate is to be asked once more, for what is behind it */

/* Chooses a backend of the service for a new connection, into c->nat, which has what service_hash says. Returns 0, a drop reason, or
 * SERVICE_BEHIND. */
GLOBAL service_choose(const struct service *s)
{
	struct context *c = context_here();
	struct lb_call call;
	struct backend *b;

	if (!c || !s)
		return DROP_NO_BACKEND;
	call = service_call(c);
	if (lb_passes(&call, s)) {
		c->service_scope = SCOPE_BEHIND;
		return SERVICE_BEHIND;
	}
	if (!lb_admits(&call, s))
		return DROP_NOT_IN_SOURCES;
	b = lb_choose(&call, s, c->nat.backend);
	c->service_flags = s->flags;
	if (!b)
		return DROP_NO_BACKEND;
	__builtin_memset(&c->nat, 0, sizeof(c->nat));
	c->nat.addr = b->addr;
	c->nat.port = b->port;
	c->nat.backend = b->id;
	c->nat.service = s->id;
	c->nat.opened = c->now;
	c->nat.owner = c->packet.owner;
	return 0;
}

/* Whether a call with this choice goes elsewhere although the backend is there: that has left the service, or, of datagrams, another one is
 * offered by now where they call. */
static __always_inline int service_moves(const struct packet *p, const struct service *s, const struct nat *known)
{
	return (p->protocol == IPPROTO_UDP && known->service && known->service != s->id) || lb_has_left(s, known->backend);
}

/* Makes a call of a service one of the backend in c->nat. Returns 0 or a drop reason. */
static __always_inline int service_rewrite(struct __sk_buff *skb, struct context *c)
{
	struct packet *p = &c->packet;

	c->event_flags |= EVENT_SERVICE;
	c->service = p->dst;
	c->service_port = p->dst_port;
	if (c->nat.source_port) {
		__be16 client_port = p->src_port;
		int reason = rewrite(skb, p, SIDE_SOURCE, &p->src, c->nat.source_port);

		if (reason)
			return reason;
		c->client_port = client_port;
	}
	return rewrite(skb, p, SIDE_DESTINATION, &c->nat.addr, c->nat.port);
}

/* Translates the destination. A connection keeps its backend while that lives. Returns 0, a drop reason, of which DROP_QUOTA is not
 * counted yet, or SERVICE_BEHIND; c->event_flags tells what was done, c->service what was called. */
GLOBAL service_translate(struct __sk_buff *skb)
{
	struct context *c = context_here(); /* kernels before 6.2 take no key from an argument's memory */

	if (!c)
		return DROP_INVALID;
	struct packet *p = &c->packet;
	struct lb_call call = service_call(c);
	struct service *s = service_of(c, &call);
	struct backend *b = NULL;
	struct nat_key *key;
	struct nat *known;
	int opens = tcp_opens(p), midway = p->protocol == IPPROTO_TCP && !opens, reason;

	c->called = s != NULL;
	if (!s && !(c->hook == HOOK_FROM_POD ? midway : lb_led() & LED_ON))
		return 0;
	key = nat_key_of(c, NAT_SERVICE);
	known = bpf_map_lookup_elem(&translations, key);
	if (known) {
		c->nat = *known;
		b = s && !service_moves(p, s, known) ? lb_backend(known->backend) : NULL;
	}
	if (known && (b ? opens : midway || !s)) {
		if (b ? service_goes_on() : service_outlives())
			s = b ? s : NULL;
		else if (b || !s) /* else its caller hears of the end from another backend */
			b = NULL, known = NULL;
	}
	if (!known && (!s || service_began_before(&call, s, midway)))
		return 0;
	if (c->hook != HOOK_FROM_POD) {
		p->owner = s ? OWNER_SERVICE | s->id : known->owner;
		lb_note(LED_ON);
	}
	if (b) {
		c->nat.addr = b->addr; /* of a row that was made anew under the same id, too */
		c->nat.port = b->port;
	} else if (s) {
		service_hash(s);
		reason = service_choose(s);
		if (!reason)
			reason = service_keep();
		if (reason)
			return reason;
	}
	c->service_flags = s ? s->flags : 0;
	return service_rewrite(skb, c);
}

/* The same for a workload's packet, whatever passes a frontend. Returns 0 or a drop reason. */
static __always_inline int service_lead(struct __sk_buff *skb)
{
	struct context *c = context_here();
	int reason = service_translate(skb);

	if (reason == SERVICE_BEHIND)
		reason = service_translate(skb);
	if (!c || reason != DROP_QUOTA)
		return reason;
	if (spare_yields(c, c->packet.owner, QUOTA_CONNECTIONS))
		reason = service_translate(skb);
	return quota_stands(reason, c->packet.owner, QUOTA_TRANSLATIONS);
}

#endif
