/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* rewrite: changes addresses and ports in place and keeps every checksum right (RFC 1624). */
#ifndef WEFT_REWRITE_H
#define WEFT_REWRITE_H

#include "abi/event.h"
#include "addr.h"
#include "packet.h"

enum side { SIDE_SOURCE, SIDE_DESTINATION };

/* What one side of a packet shall become. */
struct end {
	struct addr addr;
	__be16 port;
	__u16 side; /* enum side */
};

static __always_inline int checksum_offset(const struct packet *p)
{
	switch (p->protocol) {
	case IPPROTO_TCP:
		return p->l4 + 16;
	case IPPROTO_UDP:
		return p->l4 + 6;
	case IPPROTO_ICMPV6:
		return p->l4 + 2;
	default:
		return 0; /* ICMP has no pseudo header, SCTP's CRC covers no address */
	}
}

/* bpf_l4_csum_replace takes 4 bytes at most, an IPv6 address has 16: it gets the difference of their sums. */
static __always_inline int rewrite_addr6(struct __sk_buff *skb, struct packet *p, enum side side, const struct addr *to, int sum)
{
	struct addr *from = side == SIDE_SOURCE ? &p->src : &p->dst;
	int at = p->l3 + (side == SIDE_SOURCE ? 8 : 24);
	__s64 diff = bpf_csum_diff((__be32 *)from, 16, (__be32 *)to, 16, 0);

	if (bpf_skb_store_bytes(skb, at, to, 16, 0))
		return DROP_WRITE;
	if (sum && bpf_l4_csum_replace(skb, sum, 0, diff, BPF_F_PSEUDO_HDR | (p->protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0)))
		return DROP_WRITE;
	return 0;
}

static __always_inline int rewrite_addr4(struct __sk_buff *skb, struct packet *p, enum side side, const struct addr *to, int sum)
{
	__be32 from = addr_4(side == SIDE_SOURCE ? &p->src : &p->dst), next = addr_4(to);
	int at = p->l3 + (side == SIDE_SOURCE ? 12 : 16);

	if (bpf_skb_store_bytes(skb, at, &next, 4, 0) || bpf_l3_csum_replace(skb, p->l3 + 10, from, next, 4))
		return DROP_WRITE;
	if (sum && bpf_l4_csum_replace(skb, sum, from, next, 4 | BPF_F_PSEUDO_HDR | (p->protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0)))
		return DROP_WRITE;
	return 0;
}

/* Where the port, or the identifier of an ICMP echo, stands. 0: there is none to change. */
static __always_inline int port_offset(const struct packet *p, enum side side)
{
	if (p->later_fragment)
		return 0;
	switch (p->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		return p->l4 + (side == SIDE_SOURCE ? 0 : 2);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return p->icmp_request ? p->l4 + 4 : 0;
	default:
		return 0;
	}
}

static __always_inline int rewrite_port(struct __sk_buff *skb, struct packet *p, enum side side, __be16 to)
{
	__be16 from = side == SIDE_SOURCE ? p->src_port : p->dst_port;
	int at = port_offset(p, side), sum = checksum_offset(p);

	if (from == to || !at)
		return 0;
	if (p->protocol == IPPROTO_SCTP)
		return DROP_NAT_PROTOCOL; /* its CRC32c covers the whole packet */
	if (p->protocol == IPPROTO_ICMP)
		sum = p->l4 + 2;
	if (bpf_skb_store_bytes(skb, at, &to, 2, 0))
		return DROP_WRITE;
	if (sum && bpf_l4_csum_replace(skb, sum, from, to, 2 | (p->protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0)))
		return DROP_WRITE;
	return 0;
}

/* Gives one side of a packet another address and port. Returns 0 or a drop reason. */
GLOBAL rewrite_end(struct __sk_buff *skb, struct packet *p, const struct end *to)
{
	if (!p || !to)
		return DROP_WRITE;
	enum side side = to->side;
	int sum = p->later_fragment ? 0 : checksum_offset(p);
	int reason = p->v6 ? rewrite_addr6(skb, p, side, &to->addr, sum) : rewrite_addr4(skb, p, side, &to->addr, sum);

	if (!reason)
		reason = rewrite_port(skb, p, side, to->port);
	if (reason)
		return reason;
	if (side == SIDE_SOURCE) {
		p->src = to->addr;
		p->src_port = to->port;
	} else {
		p->dst = to->addr;
		p->dst_port = to->port;
	}
	return 0;
}

static __always_inline int rewrite(struct __sk_buff *skb, struct packet *p, enum side side, const struct addr *addr, __be16 port)
{
	struct end to = { .addr = *addr, .port = port, .side = side };

	return rewrite_end(skb, p, &to);
}

/* The same inside the packet that ICMP error `p` quotes. A change of the quoted IPv4 header and that of its own
 * checksum cancel out, so ICMP's checksum changes by the port alone; IPv6 has no header checksum. The quoted L4 checksum is left: the
 * packet is cut off, so it cannot be verified. */
GLOBAL rewrite_quoted_end(struct __sk_buff *skb, struct packet *p, struct packet *q, const struct end *end)
{
	if (!p || !q || !end)
		return DROP_WRITE;
	enum side side = end->side;
	const struct addr *addr = &end->addr;
	__be16 to = end->port, from = side == SIDE_SOURCE ? q->src_port : q->dst_port;
	int at = q->l3 + (q->v6 ? (side == SIDE_SOURCE ? 8 : 24) : (side == SIDE_SOURCE ? 12 : 16));
	int icmp_sum = p->l4 + 2, port_at = port_offset(q, side);

	if (q->v6) {
		__s64 diff = bpf_csum_diff((__be32 *)(side == SIDE_SOURCE ? &q->src : &q->dst), 16, (__be32 *)addr, 16, 0);

		if (bpf_skb_store_bytes(skb, at, addr, 16, 0) || bpf_l4_csum_replace(skb, icmp_sum, 0, diff, 0))
			return DROP_WRITE;
	} else {
		__be32 old = addr_4(side == SIDE_SOURCE ? &q->src : &q->dst), next = addr_4(addr);

		if (bpf_skb_store_bytes(skb, at, &next, 4, 0) || bpf_l3_csum_replace(skb, q->l3 + 10, old, next, 4))
			return DROP_WRITE;
	}
	if (port_at && from != to) {
		if (bpf_skb_store_bytes(skb, port_at, &to, 2, 0) || bpf_l4_csum_replace(skb, icmp_sum, from, to, 2))
			return DROP_WRITE;
	}
	if (side == SIDE_SOURCE) {
		q->src = *addr;
		q->src_port = to;
	} else {
		q->dst = *addr;
		q->dst_port = to;
	}
	return 0;
}

static __always_inline int rewrite_quoted(struct __sk_buff *skb, struct packet *p, struct packet *q, enum side side, const struct addr *addr, __be16 port)
{
	struct end to = { .addr = *addr, .port = port, .side = side };

	return rewrite_quoted_end(skb, p, q, &to);
}

static __always_inline int rewrite_macs(struct __sk_buff *skb, const __u8 *dst, const __u8 *src)
{
	__u8 macs[12];

	__builtin_memcpy(macs, dst, 6);
	__builtin_memcpy(macs + 6, src, 6);
	return bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0) ? DROP_WRITE : 0;
}

#endif
