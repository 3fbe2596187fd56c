/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* ct: connections. One entry for both ways; see struct ct. An entry past its time is as good as none. */
#ifndef WEFT_CT_H
#define WEFT_CT_H

#include "policy.h"

#define CT_TCP_OPENING (60 * SECOND)
#define CT_TCP_OPEN (CT_TCP_OPEN_SECONDS * SECOND)
#define CT_TCP_CLOSING (10 * SECOND)
#define CT_DATAGRAM_NEW (30 * SECOND)
#define CT_DATAGRAM (CT_DATAGRAM_SECONDS * SECOND)

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct flow {
	struct ct_key *key; /* in the context: the stack is small */
	struct ct *entry; /* NULL: none, or expired */
	__u8 from_b;	  /* this packet's source is key.b */
	__u8 reply;	  /* against the direction that opened */
	__u8 is_new;
	__u8 stale; /* one that is as good as none lies at the key */
};

static __always_inline int addr_less(const struct addr *x, const struct addr *y, __be16 xp, __be16 yp)
{
	const __u64 *p = (const __u64 *)x, *q = (const __u64 *)y;

	if (p[1] != q[1])
		return p[1] < q[1];
	if (p[0] != q[0])
		return p[0] < q[0];
	return xp <= yp;
}

static __always_inline void ct_key_of(const struct packet *p, __u32 net, struct flow *f)
{
	f->key->net = net;
	f->key->protocol = p->protocol;
	f->key->pad = 0;
	f->from_b = !addr_less(&p->src, &p->dst, p->src_port, p->dst_port);
	if (f->from_b) {
		f->key->a = p->dst;
		f->key->b = p->src;
		f->key->a_port = p->dst_port;
		f->key->b_port = p->src_port;
	} else {
		f->key->a = p->src;
		f->key->b = p->dst;
		f->key->a_port = p->src_port;
		f->key->b_port = p->dst_port;
	}
}

static __always_inline void ct_find(struct context *c, const struct packet *p, __u32 net, struct flow *f)
{
	struct ct *e;

	f->key = p == &c->packet ? &c->key : &c->quoted_key;
	ct_key_of(p, net, f);
	f->is_new = 0;
	f->reply = 0;
	f->stale = 0;
	f->entry = NULL;
	e = bpf_map_lookup_elem(&connections, f->key);
	if (!e)
		return;
	f->stale = 1;
	if (e->expires < c->now)
		return;
	/* A SYN on a closed connection opens a new one: the workload reuses its port. */
	if (p->protocol == IPPROTO_TCP && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN &&
	    (e->flags & (CT_CLOSING_A | CT_CLOSING_B | CT_RESET)))
		return;
	f->stale = 0;
	f->entry = e;
	f->reply = !!(e->flags & CT_FROM_B) != f->from_b;
}

/* Takes an entry out, and gives it back to its owner's share. */
GLOBAL ct_remove(const struct ct_key *key)
{
	struct ct_key own;
	struct ct *e;

	if (!key)
		return 0;
	own = *key;
	e = bpf_map_lookup_elem(&connections, &own);
	return e ? share_remove(&connections, &own, e->owner, SHARED_CONNECTIONS) : 0;
}

/* Opens a connection in the direction of this packet, at the cost of its owner. Returns 0 or a drop reason. */
static __noinline int ct_open(struct context *c, struct flow *f, __u32 flags)
{
	const struct packet *p = &c->packet;
	struct ct *e = &c->fresh;
	__u64 life = p->protocol == IPPROTO_TCP ? CT_TCP_OPENING : CT_DATAGRAM_NEW;
	int reason;

	__builtin_memset(e, 0, sizeof(*e));
	if (f->stale)
		ct_remove(f->key);
	reason = share_take(p->owner, SHARED_CONNECTIONS, config_connections_limit, &life);
	if (reason)
		return reason;
	e->owner = p->owner;
	e->flags = flags | (f->from_b ? CT_FROM_B : 0);
	e->source = c->source;
	if (flags & CT_SERVICE) {
		e->service = c->service;
		e->service_port = c->service_port;
	}
	e->expires = c->now + life;
	if (bpf_map_update_elem(&connections, f->key, e, BPF_NOEXIST))
		share_give(p->owner, SHARED_CONNECTIONS); /* full, or another CPU was faster */
	else
		f->is_new = 1;
	f->entry = bpf_map_lookup_elem(&connections, f->key);
	return f->entry ? 0 : DROP_CT_FULL;
}

/* Life goes on: expiry follows what TCP says (RFC 9293 3.3.2), or traffic for the rest. Returns event flags to report. */
static __always_inline __u32 ct_touch(const struct context *c, struct flow *f)
{
	const struct packet *p = &c->packet;
	struct ct *e = f->entry;
	__u64 now = c->now, until;
	__u16 flags = e->flags;
	__u32 report = 0;

	if (f->reply && !(flags & CT_REPLIED)) {
		flags |= CT_REPLIED;
		report = EVENT_REPLY;
	}
	if (p->protocol == IPPROTO_TCP && !p->later_fragment) {
		if (p->tcp_flags & TCP_FIN)
			flags |= f->from_b ? CT_CLOSING_B : CT_CLOSING_A;
		if (p->tcp_flags & TCP_RST)
			flags |= CT_RESET;
		if ((flags & CT_RESET) || (flags & (CT_CLOSING_A | CT_CLOSING_B)) == (CT_CLOSING_A | CT_CLOSING_B)) {
			until = CT_TCP_CLOSING;
			if (!(e->flags & CT_RESET) &&
			    (e->flags & (CT_CLOSING_A | CT_CLOSING_B)) != (CT_CLOSING_A | CT_CLOSING_B))
				report |= EVENT_CLOSE;
		} else {
			until = flags & CT_REPLIED ? CT_TCP_OPEN : CT_TCP_OPENING;
		}
	} else {
		until = flags & CT_REPLIED ? CT_DATAGRAM : CT_DATAGRAM_NEW;
	}
	if (flags != e->flags)
		e->flags = flags;
	/* Written at most once a second: a shared cache line is dear. */
	if (e->expires < now + until - SECOND || e->expires > now + until)
		e->expires = now + (until == CT_TCP_OPEN ? until : share_life(e->owner, SHARED_CONNECTIONS, config_connections_limit, until));
	return report;
}

/* Port that the policy is about: the side that was called; ICMP: type and code. */
static __always_inline __be16 policy_port(const struct packet *p, int reply)
{
	if (p->protocol == IPPROTO_ICMP || p->protocol == IPPROTO_ICMPV6) {
		/* An echo reply belongs to the request. */
		if (reply)
			return bpf_htons((p->v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO) << 8);
		return bpf_htons(p->icmp_type << 8 | p->icmp_code);
	}
	return reply ? p->src_port : p->dst_port;
}

#endif
