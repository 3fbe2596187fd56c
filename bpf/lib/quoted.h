/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* quoted: the packet inside an ICMP error. */
#ifndef WEFT_QUOTED_H
#define WEFT_QUOTED_H

#include "addr.h"
#include "extension.h"
#include "icmp.h"

/* By the helper alone, not by packet_load, whose stack frame is larger: this is deep in the stack, and errors are rare. */
static __always_inline int quoted_load(struct __sk_buff *skb, const struct packet *q, __u32 at, void *to, __u32 size)
{
	return at + size > q->end || bpf_skb_load_bytes(skb, at, to, size);
}

/* Reads the packet that an ICMP error quotes: its addresses and ports as it was sent (RFC 792, RFC 4443 3). */
GLOBAL parse_quoted(struct __sk_buff *skb, const struct packet *p, struct packet *q)
{
	__be16 ports[2];
	__u8 type;

	if (!p || !q)
		return DROP_INVALID;
	q->l3 = p->l4 + 8;
	q->v6 = p->v6;
	q->end = p->end;
	if (p->v6) {
		struct ipv6hdr h;
		__u32 length;

		if (quoted_load(skb, q, q->l3, &h, sizeof(h)))
			return DROP_CT_INVALID_HEADER;
		__builtin_memcpy(&q->src, &h.saddr, 16);
		__builtin_memcpy(&q->dst, &h.daddr, 16);
		q->protocol = h.nexthdr;
		q->l4 = q->l3 + sizeof(h);
		length = bpf_ntohs(h.payload_len);
		if (length && q->l4 + length < q->end) /* what follows is padding and extensions (RFC 4884); 0: BIG TCP */
			q->end = q->l4 + length;
		/* Extension headers, the fragment header of a datagram that is larger than the path's MTU among them. */
		if (extension_is(q->protocol) && (extension_walk(skb, q) || q->offset))
			return DROP_CT_INVALID_HEADER;
	} else {
		struct iphdr h;

		if (quoted_load(skb, q, q->l3, &h, sizeof(h)) || h.ihl < 5 || (h.frag_off & bpf_htons(0x1fff)))
			return DROP_CT_INVALID_HEADER;
		addr_from4(&q->src, h.saddr);
		addr_from4(&q->dst, h.daddr);
		q->protocol = h.protocol;
		q->l4 = q->l3 + h.ihl * 4;
	}
	if (q->protocol == IPPROTO_ICMP || q->protocol == IPPROTO_ICMPV6) {
		if (quoted_load(skb, q, q->l4, &type, 1) || quoted_load(skb, q, q->l4 + 4, ports, 2))
			return DROP_CT_INVALID_HEADER;
		icmp_ports(q, type, ports[0]);
		return 0;
	}
	if (q->protocol != IPPROTO_TCP && q->protocol != IPPROTO_UDP && q->protocol != IPPROTO_SCTP)
		return 0;
	if (quoted_load(skb, q, q->l4, ports, sizeof(ports)))
		return DROP_CT_INVALID_HEADER;
	q->src_port = ports[0];
	q->dst_port = ports[1];
	return 0;
}

#endif
