/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* port: the ports that masquerade may take of the node's: which are tried, which is taken by the host, and which connection gives its port up. */
#ifndef WEFT_PORT_H
#define WEFT_PORT_H

#include "nat.h"

#define PORT_TRIES 24
#define PORT_STRIDE 7919 /* a prime: tries are far apart, and no port is tried twice */

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

static __always_inline __u32 port_tuple(const struct nat_key *k, struct bpf_sock_tuple *t)
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
GLOBAL port_taken(struct __sk_buff *skb, const struct nat_key *k)
{
	struct bpf_sock_tuple t = {};
	struct bpf_sock *socket = NULL;
	__u32 size;

	if (!k)
		return 1;
	size = port_tuple(k, &t);
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
static __always_inline __u16 port_of_try(__u16 wanted, __u32 random, int try)
{
	__u16 span = config.nat_port_max - config.nat_port_min + 1;

	if (!try && wanted >= config.nat_port_min && wanted <= config.nat_port_max)
		return wanted;
	return config.nat_port_min + ((random & 0xffff) + try * PORT_STRIDE) % (span ? span : 1);
}

/* Whether the connection that has the port of way_back must give way to one of `owner`: 0, or for how many seconds, 1 at least, it
 * would still live. It must if it is over, or if its owner holds more than twice as many translations: no workload keeps all ports
 * of a destination. */
GLOBAL port_yields(__u32 owner)
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
static __always_inline int port_tries(const struct nat_key *out)
{
	return out->protocol == IPPROTO_SCTP ? 1 : PORT_TRIES;
}

#endif
