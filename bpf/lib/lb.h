/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* lb: a workload's packet to a service becomes a packet to one of its backends, before policy sees it. */
#ifndef WEFT_LB_H
#define WEFT_LB_H

#include "abi/lb.h"
#include "ct.h"
#include "rewrite.h"

#define NODE_PORT_MIN 30000 /* Kubernetes' --service-node-port-range */
#define NODE_PORT_MAX 32767

static __always_inline struct service *lb_service(const struct context *c)
{
	const struct packet *p = &c->packet;
	struct service_key key = { .addr = p->dst, .port = p->dst_port, .protocol = p->protocol, .net = c->net };
	struct service *s = bpf_map_lookup_elem(&services, &key);
	__u16 port = bpf_ntohs(p->dst_port);

	if (s || port < NODE_PORT_MIN || port > NODE_PORT_MAX)
		return s;
	/* A node port is offered at every address of every node: one row a family, with the unspecified address. */
	struct ipcache *h = ipcache_lookup(&p->dst, c->net);

	if (!h || !(h->flags & IPCACHE_NODE))
		return NULL;
	if (p->v6)
		__builtin_memset(&key.addr, 0, sizeof(key.addr));
	else
		addr_from4(&key.addr, 0);
	return bpf_map_lookup_elem(&services, &key);
}

/* Whether a packet that no frontend is for is addressed to a cluster address: that is nothing but the ports of its service, for
 * all other there is one row, without port and protocol. */
static __always_inline int lb_refuses(const struct context *c)
{
	struct service_key key = { .addr = c->packet.dst, .net = c->net };

	return !(c->event_flags & EVENT_SERVICE) && bpf_map_lookup_elem(&services, &key);
}

/* The backend that a client has at a service with affinity, while that takes new connections; 0: none. */
static __always_inline __u32 lb_affine(const struct context *c, const struct service *s)
{
	struct affinity_key key = { .client = c->packet.src, .service = s->id, .net = c->net };
	struct slot_key takes = { .service = s->id };
	struct affinity *a;
	__u64 now = bpf_ktime_get_ns();
	__u32 id;

	if (!(s->flags & SERVICE_AFFINITY))
		return 0;
	a = bpf_map_lookup_elem(&affinities, &key);
	if (!a || now - a->used > s->affinity_seconds * SECOND)
		return 0;
	id = a->backend;
	takes.slot = SLOT_TAKES | id;
	if (!bpf_map_lookup_elem(&slots, &takes))
		return 0;
	a->used = now;
	return id;
}

/* Keeps the backend of a connection for its later packets, at the cost of the client. Returns 0 or a drop reason. */
GLOBAL lb_keep(const struct nat_key *at, const struct nat *what)
{
	struct nat_key key;
	struct nat *old, to;
	int reason;

	if (!at || !what)
		return DROP_NAT_FULL;
	key = *at;
	to = *what;
	old = bpf_map_lookup_elem(&translations, &key);
	if (old)
		quota_remove(&translations, &key, old->owner, QUOTA_TRANSLATIONS);
	reason = quota_take(to.owner, QUOTA_TRANSLATIONS, config.translations_limit, NULL);
	if (reason)
		return reason;
	return quota_insert(&translations, &key, &to, to.owner, QUOTA_TRANSLATIONS) ? DROP_NAT_FULL : 0;
}

/* A backend for a new connection: the client's own where the service asks for it, else any. 0: there is none. */
static __always_inline __u32 lb_choose(const struct context *c, const struct service *s)
{
	struct slot_key key = { .service = s->id };
	__u32 id = lb_affine(c, s), *at;

	if (id)
		return id;
	if (!s->count)
		return 0;
	key.slot = bpf_get_prandom_u32() % s->count;
	at = bpf_map_lookup_elem(&slots, &key);
	if (!at)
		return 0;
	id = *at;
	if (s->flags & SERVICE_AFFINITY) {
		struct affinity_key who = { .client = c->packet.src, .service = s->id, .net = c->net };
		struct affinity a = { .backend = id, .used = bpf_ktime_get_ns() };

		bpf_map_update_elem(&affinities, &who, &a, BPF_ANY);
	}
	return id;
}

/* Whether a call to a service goes on that was opened with this choice, in c->nat: its caller may repeat itself. */
GLOBAL lb_goes_on(void)
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
	return f.entry && !f.reply && (f.entry->flags & CT_SERVICE) && f.entry->service_port == c->packet.dst_port &&
	       addr_equal(&f.entry->service, &c->packet.dst);
}

/* Translates the destination. A connection keeps its backend while that lives. Returns 0 or a drop reason;
 * c->event_flags tells what was done, c->service what was called. */
GLOBAL lb_translate(struct __sk_buff *skb, struct context *c)
{
	if (!c)
		return DROP_INVALID;
	struct packet *p = &c->packet;
	struct nat_key key = { .src = p->src, .dst = p->dst, .src_port = p->src_port, .dst_port = p->dst_port, .protocol = p->protocol, .kind = NAT_SERVICE, .net = c->net };
	struct service *s = lb_service(c);
	struct backend *b = NULL;
	struct nat *known;
	__be16 source_port = 0;
	__u32 id = 0;
	int opens = tcp_opens(p);

	if (!s)
		return 0;
	known = bpf_map_lookup_elem(&translations, &key);
	if (known && opens) {
		c->nat = *known;
		if (!lb_goes_on())
			known = NULL;
	}
	if (known) {
		id = known->backend;
		source_port = known->source_port;
		b = bpf_map_lookup_elem(&backends, &id);
	}
	if (!b) {
		id = lb_choose(c, s);
		b = id ? bpf_map_lookup_elem(&backends, &id) : NULL;
		if (!b)
			return DROP_NO_BACKEND;
		source_port = 0;
		struct nat *to = &c->nat;
		int reason;

		__builtin_memset(to, 0, sizeof(*to));
		to->addr = b->addr;
		to->port = b->port;
		to->backend = id;
		to->opened = c->now;
		to->owner = p->owner;
		reason = lb_keep(&key, to);
		if (reason)
			return reason;
	}
	c->event_flags |= EVENT_SERVICE;
	c->service = p->dst;
	c->service_port = p->dst_port;
	if (source_port) {
		int reason = rewrite(skb, p, SIDE_SOURCE, &p->src, source_port);

		if (reason)
			return reason;
		c->client_port = key.src_port;
	}
	return rewrite(skb, p, SIDE_DESTINATION, &b->addr, b->port);
}

#endif
