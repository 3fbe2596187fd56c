/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* known: packets of calls from outside that this node has led on to another one already, and their answers. All that outside.h would do
 * to such a packet is in rows: what is not, and whatever opens, ends or proves something, is left to it. So nothing here decides, and
 * nothing is told. */
#ifndef WEFT_KNOWN_H
#define WEFT_KNOWN_H

#include "clash.h"
#include "path.h"
#include "sender.h"

/* Whether the packet is one of many: not of a protocol, form or source that from_net has more to say about. */
static __always_inline int known_is_plain(const struct context *c)
{
	const struct packet *p = &c->packet;
	struct ipcache *from = ipcache_lookup(&p->src, c->net);

	if (p->protocol == IPPROTO_TCP && (p->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)))
		return 0;
	if (overlay_is(p) || p->ttl <= 1 || addr_is_multicast(&p->dst))
		return 0;
	if (addr_is_loopback(&p->src) || addr_is_hairpin(&p->src) || addr_is_loopback(&p->dst))
		return 0;
	return !(from && (from->flags & IPCACHE_LOCAL)) && sender_is_any(from);
}

/* Whether the connection in `f` goes on as it is: no packet of it is to be told, and none changes whose quota holds it. */
static __always_inline int known_goes_on(const struct packet *p, const struct flow *f)
{
	__u32 flags = f->entry->flags;

	if (!(flags & CT_SERVICE) || (flags & (CT_OPENING | CT_TOLD | CT_STACK)) || (f->reply && !(flags & CT_REPLIED)))
		return 0;
	return p->protocol != IPPROTO_TCP || (flags & CT_OPEN);
}

/* An answer of a backend on another node, which comes to this node's address: it becomes one of what was called, to the client. As
 * masquerade_in, outside_answer and reply_service. */
static __always_inline int known_answer(struct context *c, struct flow *f, const struct nat *back)
{
	struct packet *p = &c->packet;
	struct ct *e;

	p->dst = back->addr;
	p->dst_port = back->port;
	ct_find(c, p, f);
	e = f->entry;
	if (!e || !f->reply || !known_goes_on(p, f))
		return 0;
	p->src = e->service;
	p->src_port = e->service_port;
	if (e->client_port)
		p->dst_port = e->client_port;
	return 1;
}

/* A client's packet: it becomes one to the backend on another node that its connection has. As service_translate, outside_carry and
 * masquerade_out. */
static __always_inline int known_call(struct context *c, struct flow *f)
{
	struct packet *p = &c->packet;
	struct lb_call call = service_call(c);
	struct nat *kept = bpf_map_lookup_elem(&translations, nat_key_of(c, NAT_SERVICE));
	struct service *s;
	struct backend *b;

	if (!kept || !services_here.outside)
		return 0;
	s = lb_frontend(&call);
	if (!s || lb_has_left(s, kept->backend))
		return 0;
	b = lb_backend(kept->backend);
	if (!b)
		return 0;
	c->event_flags = EVENT_SERVICE;
	c->service = p->dst;
	c->service_port = p->dst_port;
	if (kept->source_port) {
		c->client_port = p->src_port;
		p->src_port = kept->source_port;
	}
	p->dst = b->addr;
	p->dst_port = b->port;
	ct_find(c, p, f);
	if (!f->entry || f->reply || !clash_owns(c, f) || !known_goes_on(p, f))
		return 0;
	if (f->entry->flags & CT_ONE_WAY)
		return p->protocol == IPPROTO_TCP && !geneve.on; /* others say in each packet what was called, or go in an overlay */
	kept = nat_known(c);
	if (!kept)
		return 0;
	p->src = kept->addr;
	p->src_port = kept->port;
	return 1;
}

/* Gives the packet the addresses and ports with which it goes on, out of a device. Its connection is in `f` then. Returns whether it is
 * such a packet; if not, it may have others by now. */
static __always_inline int known_is(struct context *c, struct flow *f)
{
	struct packet *p = &c->packet;
	struct ipcache *h = ipcache_lookup(&p->dst, c->net);
	struct nat *back;

	f->key = &c->key;
	if (ipcache_is_local_pod(h) || ipcache_is_workload(h) || !known_is_plain(c))
		return 0;
	back = ipcache_is_this_node(h) ? bpf_map_lookup_elem(&translations, nat_key_of(c, NAT_BACK)) : NULL;
	if (back ? !known_answer(c, f, back) : !known_call(c, f))
		return 0;
	h = ipcache_lookup(&p->dst, c->net);
	path_lead(c, h);
	return !(h && (h->flags & IPCACHE_LOCAL)) && c->hop.path == PATH_DIRECT;
}

#endif
