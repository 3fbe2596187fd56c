/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* parse: from bytes to one struct packet for both families. The only file beside rewrite.h that knows families.
 *
 * Refuses truncated headers, and IPv4-mapped addresses inside IPv6: rows have IPv4 addresses in that form, so such an address would mean
 * two things. Follows IPv6 extension headers (RFC 8200 4); IPv4 options are left to the receiver's stack. Reads nothing past the end
 * that the IP header names: the receiver cuts that off, and would see another packet than was judged. Ports of later fragments:
 * fragment.h.
 */
#ifndef WEFT_PARSE_H
#define WEFT_PARSE_H

#include "addr.h"
#include "extension.h"
#include "icmp.h"

/* Finds the end of a packet whose IP header, of `header` bytes, says that it is `length` bytes long. A length of 0
 * is right if many segments of TCP are one packet that 16 bits cannot count (BIG TCP). Returns 0 or a drop reason. */
static __always_inline int parse_end(struct __sk_buff *skb, struct packet *p, __u32 header, __u32 length)
{
	p->end = length ? p->l3 + length : skb->len;
	if (length ? length < header : !skb->gso_size)
		return DROP_INVALID;
	return p->end > skb->len ? DROP_INVALID : 0;
}

/* The least size of a protocol's header, of those that programs read. */
static __always_inline __u32 parse_least(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return 20;
	case IPPROTO_SCTP:
		return 12;
	case IPPROTO_UDP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 8;
	default:
		return 0;
	}
}

/* A later fragment that begins within the first one's header would overwrite what policy has judged. Behind IPv6 options only the first
 * one knows where the headers end: fragment_join checks it. */
static __always_inline int parse_later(struct packet *p)
{
	p->first_fragment = 0;
	p->later_fragment = 1;
	return p->offset < parse_least(p->protocol) ? DROP_INVALID : 0;
}

static __always_inline int parse_icmp(struct __sk_buff *skb, struct packet *p)
{
	struct {
		__u8 type, code;
		__be16 sum, id, sequence;
	} h;

	if (packet_load(skb, p, p->l4, &h, sizeof(h)))
		return DROP_CT_INVALID_HEADER;
	p->icmp_code = h.code;
	icmp_ports(p, h.type, h.id);
	if (p->v6)
		p->icmp_error = h.type < 128;
	else
		p->icmp_error = h.type == ICMP_DEST_UNREACH || h.type == ICMP_TIME_EXCEEDED || h.type == ICMP_PARAMETERPROB;
	return 0;
}

/* The beginning of TCP's header (RFC 9293 3.1). */
struct parse_tcp_head {
	__be16 src_port, dst_port;
	__be32 seq, ack;
	__u8 offset, flags;
};

#define PARSE_TCP_HEAD 14 /* bytes of it */

/* Returns 0 or a drop reason. */
static __always_inline int parse_tcp_head(struct packet *p, const struct parse_tcp_head *h)
{
	__u32 payload = p->l4 + (h->offset >> 4) * 4;

	if ((h->offset >> 4) < 5 || payload > p->end)
		return DROP_CT_INVALID_HEADER;
	p->src_port = h->src_port;
	p->dst_port = h->dst_port;
	p->seq = bpf_ntohl(h->seq);
	p->ack = bpf_ntohl(h->ack);
	p->tcp_flags = h->flags;
	p->seq_end = p->seq + (p->end - payload) + (h->flags & 1) + (h->flags >> 1 & 1); /* FIN and SYN have a number each */
	return 0;
}

static __always_inline int parse_tcp(struct __sk_buff *skb, struct packet *p)
{
	struct parse_tcp_head h;

	if (packet_load(skb, p, p->l4, &h, PARSE_TCP_HEAD))
		return DROP_CT_INVALID_HEADER;
	return parse_tcp_head(p, &h);
}

/* Fills ports, flags and ICMP type from the header at p->l4, which a first fragment must hold, too (RFC 7112). */
static __always_inline int parse_l4(struct __sk_buff *skb, struct packet *p)
{
	__be16 ports[2];

	if (p->l4 + parse_least(p->protocol) > p->end)
		return DROP_CT_INVALID_HEADER;
	switch (p->protocol) {
	case IPPROTO_TCP:
		return parse_tcp(skb, p);
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		if (packet_load(skb, p, p->l4, ports, sizeof(ports)))
			return DROP_CT_INVALID_HEADER;
		p->src_port = ports[0];
		p->dst_port = ports[1];
		return 0;
	case IPPROTO_ICMP:
		return p->v6 ? DROP_UNKNOWN_L4 : parse_icmp(skb, p);
	case IPPROTO_ICMPV6:
		return p->v6 ? parse_icmp(skb, p) : DROP_UNKNOWN_L4;
	default:
		return 0; /* tracked by addresses and protocol alone */
	}
}

/* What an IPv4 header says, but for where the packet ends. */
static __always_inline void parse_head4(struct packet *p, const struct iphdr *h)
{
	addr_from4(&p->src, h->saddr);
	addr_from4(&p->dst, h->daddr);
	p->protocol = h->protocol;
	p->fragment_protocol = h->protocol;
	p->fragment = h->id;
	p->ttl = h->ttl;
	p->l4 = p->l3 + h->ihl * 4;
	p->data = p->l4;
	p->offset = (bpf_ntohs(h->frag_off) & 0x1fff) * 8;
}

/* The same of an IPv6 header, as if no extension followed. Returns 0 or a drop reason. */
static __always_inline int parse_head6(struct packet *p, const struct ipv6hdr *h)
{
	__builtin_memcpy(&p->src, &h->saddr, 16);
	__builtin_memcpy(&p->dst, &h->daddr, 16);
	if (addr_is4(&p->src) || addr_is4(&p->dst))
		return DROP_INVALID;
	p->v6 = 1;
	p->ttl = h->hop_limit;
	p->protocol = h->nexthdr;
	p->l4 = p->l3 + sizeof(*h);
	return 0;
}

static __always_inline int parse4(struct __sk_buff *skb, struct packet *p)
{
	struct iphdr h;
	int reason;

	if (packet_load(skb, p, p->l3, &h, sizeof(h)) || h.version != 4 || h.ihl < 5)
		return DROP_INVALID;
	reason = parse_end(skb, p, h.ihl * 4, bpf_ntohs(h.tot_len));
	if (reason)
		return reason;
	parse_head4(p, &h);
	if (p->offset)
		return parse_later(p);
	p->first_fragment = !!(h.frag_off & bpf_htons(0x2000));
	return parse_l4(skb, p);
}

static __always_inline int parse6(struct __sk_buff *skb, struct packet *p)
{
	struct ipv6hdr h;
	__u32 length;
	int reason;

	if (packet_load(skb, p, p->l3, &h, sizeof(h)) || h.version != 6)
		return DROP_INVALID;
	length = bpf_ntohs(h.payload_len);
	reason = parse_end(skb, p, sizeof(h), length ? length + sizeof(h) : 0);
	if (!reason)
		reason = parse_head6(p, &h);
	if (reason)
		return reason;
	if (extension_is(p->protocol)) {
		reason = extension_walk(skb, p);
		if (reason)
			return reason;
	}
	return p->offset ? parse_later(p) : parse_l4(skb, p);
}

/* Reads an IP packet after its Ethernet header. Returns 0 or a drop reason. */
GLOBAL parse(struct __sk_buff *skb, struct packet *p)
{
	if (!p)
		return DROP_INVALID;
	if (skb->vlan_present && (skb->vlan_tci & VLAN_NUMBER)) /* its tag would stay with it on its way out, into another network */
		return DROP_UNSUPPORTED_L2;
	p->l3 = ETH_HEADER;
	p->end = skb->len;
	switch (skb->protocol) {
	case bpf_htons(ETH_P_IP):
		return parse4(skb, p);
	case bpf_htons(ETH_P_IPV6):
		return parse6(skb, p);
	default:
		return DROP_UNSUPPORTED_L2;
	}
}

#endif
