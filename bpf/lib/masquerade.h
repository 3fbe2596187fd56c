/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* masquerade (SNAT): a workload speaks to the outside with its node's address and a port that is free:
 * no socket of the host, no mapping of the host's netfilter, and outside the ranges the host hands out itself.
 */
#ifndef WEFT_MASQUERADE_H
#define WEFT_MASQUERADE_H

#include "port.h"
#include "quoted.h"
#include "rewrite.h"
#include "spare.h"

#define E2BIG 7 /* what a full hash map says */
#define EEXIST 17

/* Takes a port for the connection way_out and writes both rows: a free one, or, if all that were tried are taken, that of
 * the connection among them that is nearest its end. Returns 0 or a drop reason, of which DROP_QUOTA is not counted yet. */
static __noinline int masquerade_create(struct __sk_buff *skb, struct context *c)
{
	struct nat_key *out = &c->way_out, *in = &c->way_back;
	struct nat *to = &c->nat, *back = &c->nat_back;
	int reason = quota_try(to->owner, QUOTA_TRANSLATIONS, 2, config.translations_limit, NULL), least = 0;
	__u32 random = bpf_get_prandom_u32();
	__be16 port = 0;

	if (reason)
		return reason;
	nat_turn(out, to, in);
	*back = *to;
	back->addr = out->src;
	back->port = out->src_port;
	reason = DROP_NAT_NO_MAPPING;
	for (int try = 0; try <= PORT_TRIES; try++) {
		int failed;

		if (try < port_tries(out)) {
			in->dst_port = out->protocol == IPPROTO_SCTP ? out->src_port : bpf_htons(port_of_try(bpf_ntohs(out->src_port), random, try));
			if (port_taken(skb, in))
				continue;
		} else if (least) {
			in->dst_port = port;
			nat_remove(in);
		} else {
			break;
		}
		failed = bpf_map_update_elem(&translations, in, back, BPF_NOEXIST);
		if (failed == -E2BIG) {
			reason = DROP_NAT_FULL;
			break;
		}
		if (failed) {
			int left = port_yields(to->owner);

			if (left && (!least || left < least)) {
				least = left;
				port = in->dst_port;
			}
			continue;
		}
		to->port = in->dst_port;
		failed = bpf_map_update_elem(&translations, out, to, BPF_NOEXIST);
		if (!failed)
			return 0;
		bpf_map_delete_elem(&translations, in);
		/* Another CPU was faster: its port is the connection's. */
		reason = failed == -EEXIST ? 0 : DROP_NAT_FULL;
		break;
	}
	quota_give_some(to->owner, QUOTA_TRANSLATIONS, 2);
	return reason;
}

/* Whether an answer can find its way back: by ports, or by the identifier of a request. */
static __always_inline int masquerade_has_ports(const struct packet *p)
{
	if (p->protocol == IPPROTO_ICMP || p->protocol == IPPROTO_ICMPV6)
		return p->later_fragment || icmp_is_request(p);
	return p->protocol == IPPROTO_TCP || p->protocol == IPPROTO_UDP || p->protocol == IPPROTO_SCTP;
}

/* Whether a packet of connection `e` (NULL: none) has a translation already, which it keeps whatever the configuration says now. One
 * left by an earlier connection is taken over if its address is still the masquerade address, and removed otherwise. */
static __always_inline int masquerade_kept(struct context *c, const struct ct *e, const struct addr *as)
{
	struct nat *known = nat_known(c);

	if (!known || !e || known->opened >= e->opened)
		return known != NULL;
	if (!addr_equal(&known->addr, as)) {
		nat_remove(&c->way_out);
		return 0;
	}
	known->opened = bpf_ktime_get_ns();
	return 1;
}

/* The way out: an address of the node for the sender's. Returns 0 or a drop reason, of which DROP_QUOTA is not counted yet. */
GLOBAL masquerade_out(struct __sk_buff *skb, const struct addr *as)
{
	struct context *c = context_here();
	struct packet *p;
	struct nat *known;
	int reason;

	if (!c || !as)
		return DROP_INVALID;
	p = &c->packet;
	if (!masquerade_has_ports(p))
		return DROP_NAT_PROTOCOL;
	known = nat_known(c);
	if (!known && p->later_fragment)
		return DROP_NAT_NO_MAPPING; /* its first was refused, or it is long ago */
	if (!known) {
		__builtin_memset(&c->nat, 0, sizeof(c->nat));
		c->nat.addr = *as;
		c->nat.opened = bpf_ktime_get_ns(); /* see masquerade_kept */
		c->nat.owner = p->owner;
		reason = masquerade_create(skb, c);
		if (reason)
			return reason;
		known = bpf_map_lookup_elem(&translations, &c->way_out);
	}
	if (!known)
		return DROP_NAT_NO_MAPPING;
	c->nat = *known;
	return rewrite(skb, p, SIDE_SOURCE, &c->nat.addr, c->nat.port);
}

/* The same for a workload's packet: where its share of `translations` is used up, one of its finished connections gives way. */
static __always_inline int masquerade_leave(struct __sk_buff *skb, struct context *c, const struct addr *as)
{
	struct flow f = { .key = &c->key };
	int reason = masquerade_out(skb, as);

	if (reason != DROP_QUOTA)
		return reason;
	ct_key_of(&c->packet, c->net, &f);
	if (spare_yields(c, c->packet.owner, QUOTA_CONNECTIONS))
		reason = masquerade_out(skb, as);
	return quota_stands(reason, c->packet.owner, QUOTA_TRANSLATIONS);
}

/* An ICMP error that a workload sends about a packet it got from outside: the other end must find its own. */
GLOBAL masquerade_error(struct __sk_buff *skb, struct context *c)
{
	if (!c)
		return DROP_INVALID;
	struct packet *p = &c->packet, *q = &c->quoted;
	struct nat_key key = { .protocol = 0 };
	struct addr as = config_masquerade(p->v6);
	struct nat *known, to;
	int reason, off = addr_is_zero(&as);

	__builtin_memset(q, 0, sizeof(*q));
	if (parse_quoted(skb, p, q))
		return off ? 0 : DROP_CT_INVALID_HEADER;
	nat_key_of_quoted(c, q, &key);
	known = bpf_map_lookup_elem(&translations, &key);
	if (!known)
		return off ? 0 : DROP_NAT_NO_MAPPING;
	to = *known;
	reason = rewrite_quoted(skb, p, q, SIDE_DESTINATION, &to.addr, to.port);
	return reason ? reason : rewrite(skb, p, SIDE_SOURCE, &to.addr, p->src_port);
}

/* The way back. Returns 1 when the packet was ours, 0 when not, or a negated drop reason. */
GLOBAL masquerade_in(struct __sk_buff *skb, struct context *c)
{
	if (!c)
		return 0;
	struct packet *p = &c->packet;
	struct nat_key key = { .src = p->src, .dst = p->dst, .src_port = p->src_port, .dst_port = p->dst_port, .protocol = p->protocol, .kind = NAT_BACK, .net = c->net };
	struct nat *known, to;
	int reason;

	if (p->icmp_error) {
		struct packet *q = &c->quoted;

		__builtin_memset(q, 0, sizeof(*q));
		if (parse_quoted(skb, p, q))
			return 0;
		nat_key_of_quoted(c, q, &key);
		known = bpf_map_lookup_elem(&translations, &key);
		if (!known)
			return 0;
		to = *known;
		reason = rewrite_quoted(skb, p, q, SIDE_SOURCE, &to.addr, to.port);
		if (!reason)
			reason = rewrite(skb, p, SIDE_DESTINATION, &to.addr, p->dst_port);
		return reason ? -reason : 1;
	}
	known = bpf_map_lookup_elem(&translations, &key);
	if (!known)
		return 0;
	to = *known;
	reason = rewrite(skb, p, SIDE_DESTINATION, &to.addr, to.port);
	return reason ? -reason : 1;
}

#endif
