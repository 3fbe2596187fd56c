/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* nat: rows of the map translations. Masquerade writes two for a connection, one for each direction, and each has the key of the
 * other in it; a call of a service has one. */
#ifndef WEFT_NAT_H
#define WEFT_NAT_H

#include "ct.h"
#include "icmp.h"

/* The key of the row for answers to the quoted packet. */
static __always_inline void nat_key_of_quoted(const struct context *c, const struct packet *q, struct nat_key *key)
{
	key->src = q->dst;
	key->dst = q->src;
	key->src_port = q->dst_port;
	key->dst_port = q->src_port;
	key->protocol = q->protocol;
	key->net = c->net;
}

/* The key of the row of this packet, of one kind, in c->way_out. */
static __always_inline struct nat_key *nat_key_of(struct context *c, __u8 kind)
{
	const struct packet *p = &c->packet;
	struct nat_key *key = &c->way_out;

	__builtin_memset(key, 0, sizeof(*key));
	key->src = p->src;
	key->dst = p->dst;
	key->src_port = p->src_port;
	key->dst_port = p->dst_port;
	key->protocol = p->protocol;
	key->kind = kind;
	key->net = c->net;
	return key;
}

/* The translation of a packet on its way out; NULL: none yet. */
static __always_inline struct nat *nat_known(struct context *c)
{
	return bpf_map_lookup_elem(&translations, nat_key_of(c, NAT_OUT));
}

/* The key of the row for the other way. */
static __always_inline void nat_turn(const struct nat_key *key, const struct nat *n, struct nat_key *other)
{
	__builtin_memset(other, 0, sizeof(*other));
	other->protocol = key->protocol;
	other->net = key->net;
	if (key->kind == NAT_OUT) {
		other->kind = NAT_BACK;
		other->src = key->dst;
		other->src_port = key->dst_port;
		other->dst = n->addr;
		other->dst_port = n->port;
	} else {
		other->kind = NAT_OUT;
		other->src = n->addr;
		other->src_port = n->port;
		other->dst = key->src;
		other->dst_port = key->src_port;
	}
}

/* Whether the row `n`, found at the key for the other way, is about the same connection as `key`: its port may be another's
 * by now. */
static __always_inline int nat_answers(const struct nat_key *key, const struct nat *n)
{
	if (key->kind == NAT_OUT)
		return n->port == key->src_port && addr_equal(&n->addr, &key->src);
	return n->port == key->dst_port && addr_equal(&n->addr, &key->dst);
}

/* Removes a row, and if it is masquerade's the one for the other direction, and gives them back to their owners' quotas. Returns how
 * many it removed. */
GLOBAL nat_remove(const struct nat_key *at)
{
	struct nat_key key, other;
	struct nat *n;
	__u32 owner;
	int removed;

	if (!at)
		return 0;
	key = *at;
	n = bpf_map_lookup_elem(&translations, &key);
	if (!n)
		return 0;
	owner = n->owner;
	nat_turn(&key, n, &other);
	removed = quota_remove(&translations, &key, owner, QUOTA_TRANSLATIONS);
	if (key.kind == NAT_SERVICE)
		return removed;
	n = bpf_map_lookup_elem(&translations, &other);
	if (n && nat_answers(&key, n))
		removed += quota_remove(&translations, &other, n->owner, QUOTA_TRANSLATIONS);
	return removed;
}

/* The key of the row that a call of a service has, whose connection is at c->evicted; in c->other_way. */
static __always_inline struct nat_key *nat_key_of_call(struct context *c, const struct ct *e)
{
	struct nat_key *key = &c->other_way;
	int from_b = e->flags & CT_FROM_B;

	__builtin_memset(key, 0, sizeof(*key));
	key->src = from_b ? c->evicted.b : c->evicted.a;
	key->src_port = e->client_port;
	if (!e->client_port)
		key->src_port = from_b ? c->evicted.b_port : c->evicted.a_port;
	key->dst = e->service;
	key->dst_port = e->service_port;
	key->protocol = c->evicted.protocol;
	key->kind = NAT_SERVICE;
	key->net = c->evicted.net;
	return key;
}

/* Removes the rows of the connection at c->evicted: that of a call of a service, and those of another address or port. Returns how many. */
GLOBAL nat_forget(void)
{
	struct context *c = context_here();
	struct nat_key *key;
	struct ct *e;
	int removed = 0, from_b;

	if (!c)
		return 0;
	e = bpf_map_lookup_elem(&connections, &c->evicted);
	if (!e)
		return 0;
	from_b = e->flags & CT_FROM_B;
	key = nat_key_of_call(c, e);
	if (e->flags & CT_SERVICE)
		removed = nat_remove(key);
	key->kind = NAT_OUT;
	key->src_port = from_b ? c->evicted.b_port : c->evicted.a_port;
	key->dst = from_b ? c->evicted.a : c->evicted.b;
	key->dst_port = from_b ? c->evicted.a_port : c->evicted.b_port;
	return removed + nat_remove(key);
}

/* Removes the row of this packet's call, which is refused: it has no connection that would need a backend, or a source port. */
GLOBAL nat_refused(void)
{
	struct context *c = context_here();
	const struct packet *p;
	struct nat_key *key;
	int service;

	if (!c)
		return 0;
	service = c->event_flags & EVENT_SERVICE;
	if (!service && !c->client_port)
		return 0;
	p = &c->packet;
	key = &c->other_way;
	__builtin_memset(key, 0, sizeof(*key));
	key->src = addr_is_hairpin(&p->src) ? p->dst : p->src;
	key->src_port = c->client_port ? c->client_port : p->src_port;
	key->dst = service ? c->service : p->dst;
	key->dst_port = service ? c->service_port : p->dst_port;
	key->protocol = p->protocol;
	key->kind = NAT_SERVICE;
	key->net = c->net;
	return nat_remove(key);
}

/* When the connection between these ends expires if no packet follows, in seconds of CLOCK_MONOTONIC; 0: there is none.
 * `p` and `key` are scratch space. */
static __always_inline int nat_until(const struct nat_key *k, struct packet *p, struct ct_key *key)
{
	struct flow f = { .key = key };
	struct ct *e;

	__builtin_memset(p, 0, sizeof(*p));
	p->src = k->src;
	p->dst = k->dst;
	p->src_port = k->src_port;
	p->dst_port = k->dst_port;
	p->protocol = k->protocol;
	p->icmp_type = bpf_ntohs(k->dst_port); /* of ICMP nothing but requests is translated, see icmp_ports */
	p->icmp_request = p->icmp_type;
	if (p->protocol == IPPROTO_ICMP || p->protocol == IPPROTO_ICMPV6)
		p->asks = icmp_asks(p);
	ct_key_of(p, k->net, &f);
	e = bpf_map_lookup_elem(&connections, key);
	return e ? e->expires / SECOND : 0;
}

#endif
