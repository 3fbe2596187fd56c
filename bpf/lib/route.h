/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* route: out of the device that the host's own routes name. */
#ifndef WEFT_ROUTE_H
#define WEFT_ROUTE_H

#include "context.h"
#include "rewrite.h"

#define AF_INET 2
#define AF_INET6 10

/* Fills in the question of bpf_fib_lookup about two addresses; the source may be NULL. */
static __always_inline void route_ask(struct bpf_fib_lookup *fib, int v6, const struct addr *src, const struct addr *dst)
{
	if (v6) {
		fib->family = AF_INET6;
		if (src)
			__builtin_memcpy(fib->ipv6_src, src, 16);
		__builtin_memcpy(fib->ipv6_dst, dst, 16);
	} else {
		fib->family = AF_INET;
		if (src)
			fib->ipv4_src = addr_4(src);
		fib->ipv4_dst = addr_4(dst);
	}
}

static __always_inline int route_ttl(struct __sk_buff *skb, struct packet *p)
{
	__u8 ttl = p->ttl - 1;

	if (p->v6)
		return bpf_skb_store_bytes(skb, p->l3 + 7, &ttl, 1, 0) ? DROP_WRITE : 0;
	/* TTL and protocol are one 16-bit word of the header's checksum. */
	__be16 from = bpf_htons(p->ttl << 8 | p->protocol), to = bpf_htons(ttl << 8 | p->protocol);

	if (bpf_l3_csum_replace(skb, p->l3 + 10, from, to, 2) || bpf_skb_store_bytes(skb, p->l3 + 8, &ttl, 1, 0))
		return DROP_WRITE;
	return 0;
}

/* Sends a packet out of the device that the host's routes name. Returns an action; TC_ACT_OK: the stack has to answer it by ICMP. */
GLOBAL route_out(struct __sk_buff *skb, struct context *c)
{
	if (!c)
		return TC_ACT_SHOT;
	struct packet *p = &c->packet;
	struct bpf_fib_lookup fib = { .ifindex = skb->ifindex };
	struct bpf_redir_neigh hop = {};
	int found;

	if (p->ttl <= 1)
		return TC_ACT_OK;
	route_ask(&fib, p->v6, &p->src, &p->dst);
	found = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH)
		return TC_ACT_OK;
	if (route_ttl(skb, p))
		return TC_ACT_SHOT;
	if (found == BPF_FIB_LKUP_RET_SUCCESS) {
		if (rewrite_macs(skb, fib.dmac, fib.smac))
			return TC_ACT_SHOT;
		return bpf_redirect(fib.ifindex, 0);
	}
	hop.nh_family = fib.family;
	if (fib.family == AF_INET)
		hop.ipv4_nh = fib.ipv4_dst;
	else
		__builtin_memcpy(hop.ipv6_nh, fib.ipv6_dst, 16);
	return bpf_redirect_neigh(fib.ifindex, &hop, sizeof(hop), 0);
}

#endif
