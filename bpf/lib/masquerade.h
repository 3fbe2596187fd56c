/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* masquerade (SNAT): a workload speaks to the outside with its node's address and a port that is free:
 * no socket of the host, no mapping of the host's netfilter, and outside the ranges the host hands out itself.
 */
#ifndef WEFT_MASQUERADE_H
#define WEFT_MASQUERADE_H

#include "nat.h"
#include "quoted.h"
#include "rewrite.h"
#include "spare.h"

#define NAT_TRIES 24
#define NAT_STRIDE 7919 /* a prime: tries are far apart, and no port is tried twice */
#define E2BIG 7 /* what a full hash map says */
#define EEXIST 17

struct nf_conn {
	int unknown; /* the kernel fills in what it has */
};

/* include/net/netfilter/nf_conntrack_bpf.h of the kernel, first 12 bytes. */
struct bpf_ct_opts___weft {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
};

extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u32 size,
					 struct bpf_ct_opts___weft *opts, __u32 opts_size) __ksym __weak;
extern void bpf_ct_release(struct nf_conn *ct) __ksym __weak;

static __always_inline __u32 masquerade_tuple(const struct nat_key *k, struct bpf_sock_tuple *t)
{
	if (addr_is4(&k->src)) {
		t->ipv4.saddr = addr_4(&k->src);
		t->ipv4.daddr = addr_4(&k->dst);
		t->ipv4.sport = k->src_port;
		t->ipv4.dport = k->dst_port;
		return sizeof(t->ipv4);
	}
	__builtin_memcpy(t->ipv6.saddr, &k->src, 16);
	__builtin_memcpy(t->ipv6.daddr, &k->dst, 16);
	t->ipv6.sport = k->src_port;
	t->ipv6.dport = k->dst_port;
	return sizeof(t->ipv6);
}

/* Whether the host itself would receive a packet with key `k`, which is that of an answer. */
GLOBAL masquerade_taken(struct __sk_buff *skb, const struct nat_key *k)
{
	struct bpf_sock_tuple t = {};
	struct bpf_sock *socket = NULL;
	__u32 size;

	if (!k)
		return 1;
	size = masquerade_tuple(k, &t);
	if (k->protocol == IPPROTO_TCP)
		socket = bpf_sk_lookup_tcp(skb, &t, size, BPF_F_CURRENT_NETNS, 0);
	else if (k->protocol == IPPROTO_UDP)
		socket = bpf_sk_lookup_udp(skb, &t, size, BPF_F_CURRENT_NETNS, 0);
	if (socket) {
		bpf_sk_release(socket);
		return 1;
	}
	if (config.host_conntrack && (k->protocol == IPPROTO_TCP || k->protocol == IPPROTO_UDP)) {
		struct bpf_ct_opts___weft opts = { .netns_id = BPF_F_CURRENT_NETNS, .l4proto = k->protocol };
		struct nf_conn *ct = bpf_skb_ct_lookup(skb, &t, size, &opts, sizeof(opts));

		if (ct) {
			bpf_ct_release(ct);
			return 1;
		}
	}
	return 0;
}

/* The port of a try: first the wanted one, then others from a random one on, each once. */
static __always_inline __u16 masquerade_port(__u16 wanted, __u32 random, int try)
{
	__u16 span = config.nat_port_max - config.nat_port_min + 1;

	if (!try && wanted >= config.nat_port_min && wanted <= config.nat_port_max)
		return wanted;
	return config.nat_port_min + ((random & 0xffff) + try * NAT_STRIDE) % (span ? span : 1);
}

/* Whether the connection that has the port of way_back must give way to one of `owner`: 0, or for how many seconds, 1 at least, it
 * would still live. It must if it is over, or if its owner holds more than twice as many translations: no workload keeps all ports
 * of a destination. */
GLOBAL masquerade_yields(__u32 owner)
{
	struct context *c = context_here();
	struct nat *n;
	__u32 holder;
	int left;

	if (!c)
		return 0;
	n = bpf_map_lookup_elem(&translations, &c->way_back);
	if (!n)
		return 0;
	holder = n->owner;
	nat_turn(&c->way_back, n, &c->other_way);
	left = nat_until(&c->other_way, &c->quoted, &c->quoted_key) - (int)(c->now / SECOND);
	if (left >= 0 && quota_held(holder, QUOTA_TRANSLATIONS) <= 2 * quota_held(owner, QUOTA_TRANSLATIONS))
		return 0;
	return left > 0 ? left : 1;
}

/* How many ports are tried: of SCTP none but the sender's own, for its checksum covers the whole packet. */
static __always_inline int masquerade_tries(const struct nat_key *out)
{
	return out->protocol == IPPROTO_SCTP ? 1 : NAT_TRIES;
}

/* Takes a port for the connection way_out and writes both rows: a free one, or, if all that were tried are taken, that of
 * the connection among them that is nearest its end. Returns 0 or a drop reason. */
static __noinline int masquerade_create(struct __sk_buff *skb, struct context *c)
{
	struct nat_key *out = &c->way_out, *in = &c->way_back;
	struct nat *to = &c->nat, *back = &c->nat_back;
	int reason = quota_take_some(to->owner, QUOTA_TRANSLATIONS, 2, config.translations_limit, NULL), least = 0;
	__u32 random = bpf_get_prandom_u32();
	__be16 port = 0;

	if (reason)
		return reason;
	nat_turn(out, to, in);
	*back = *to;
	back->addr = out->src;
	back->port = out->src_port;
	reason = DROP_NAT_NO_MAPPING;
	for (int try = 0; try <= NAT_TRIES; try++) {
		int failed;

		if (try < masquerade_tries(out)) {
			in->dst_port = out->protocol == IPPROTO_SCTP ? out->src_port : bpf_htons(masquerade_port(bpf_ntohs(out->src_port), random, try));
			if (masquerade_taken(skb, in))
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
			int left = masquerade_yields(to->owner);

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

/* The way out: an address of the node for the sender's. */
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

/* Whether a workload whose share of `translations` is used up has a finished connection, which is gone now: this packet's takes its place. */
static __always_inline int masquerade_spares(struct context *c)
{
	struct flow f = { .key = &c->key };

	ct_key_of(&c->packet, c->net, &f);
	return spare_yields(c, c->packet.owner, QUOTA_CONNECTIONS);
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
