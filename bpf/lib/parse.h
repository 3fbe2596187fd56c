/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* parse: from bytes to one struct packet for both families. The only file beside rewrite.h that knows families.
 *
 * Refuses what would let an address mean two things: IPv4-mapped addresses inside IPv6 (architecture section 5),
 * truncated headers, IPv4 source routes are left to the workload's stack. Follows IPv6 extension headers (RFC 8200 4).
 * Reads nothing behind the end that the IP header names: its receiver cuts that off, and sees another packet. Ports of a
 * later fragment are in fragment.h.
 */
#ifndef WEFT_PARSE_H
#define WEFT_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include "addr.h"
#include "icmp.h"
#include "share.h"

#define ETH_HEADER 14

struct packet {
	struct addr src;
	struct addr dst;
	__be16 src_port; /* ICMP: see icmp_ports */
	__be16 dst_port;
	__u16 l3;	 /* offsets from the start of the frame */
	__u16 l4;
	__u8 protocol;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 v6;
	__u8 ttl;
	__u8 first_fragment; /* has one for all of its datagram */
	__u8 later_fragment; /* has no L4 header */
	__u8 icmp_error;     /* quotes another packet at l4 + 8 */
	__u8 icmp_request;   /* type of the request that this is or answers; 0: neither */
	__u8 fragment_protocol; /* what a fragment's own header says follows */
	__u8 pad;
	__u32 fragment;	     /* of a datagram with this number */
	__u32 end;	     /* where the packet ends in the frame, as its IP header says */
	__u32 owner;	     /* whose share holds what this packet opens: key of shares */
	__u32 seq;	     /* TCP */
	__u32 ack;
	__u32 seq_end;	     /* TCP: the number behind what this packet sends */
	__u32 pad2;
};

/* Copies bytes of a packet; mostly they lie in its linear part, where no helper is needed. Returns 0, or not if the
 * packet is too short. */
static __always_inline int parse_load(struct __sk_buff *skb, const struct packet *p, __u32 at, void *to, const __u32 size)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (at + size > p->end)
		return 1;
	if (at < 0x1000) {
		__u64 offset = at;

		asm volatile("%0 &= 0xfff" : "+r"(offset)); /* so that the verifier sees it */
		if (data + offset + size <= end) {
			__builtin_memcpy(to, data + offset, size);
			return 0;
		}
	}
	return bpf_skb_load_bytes(skb, at, to, size);
}

/* Finds the end of a packet whose IP header, of `header` bytes, says that it is `length` bytes long. 0 is said of many
 * segments in one that are longer than can be said (BIG TCP). Returns 0 or a drop reason. */
static __always_inline int parse_end(struct __sk_buff *skb, struct packet *p, __u32 header, __u32 length)
{
	p->end = length ? p->l3 + length : skb->len;
	if (length ? length < header : !skb->gso_size)
		return DROP_INVALID;
	return p->end > skb->len ? DROP_INVALID : 0;
}

/* The least that the header of a protocol has, as far as anything here asks about it. */
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

/* A fragment that begins so many bytes into its datagram: within the header it would write over what policy was asked about. */
static __always_inline int parse_later(struct packet *p, __u32 offset)
{
	p->first_fragment = 0;
	p->later_fragment = 1;
	return offset < parse_least(p->protocol) ? DROP_INVALID : 0;
}

/* The type of request that an ICMP message asks or answers, 0: neither (RFC 792, RFC 950, RFC 4443 4). */
static __always_inline __u8 icmp_request(const struct packet *p, __u8 type)
{
	if (p->v6)
		return type == ICMP6_ECHO_REQUEST || type == ICMP6_ECHO_REPLY ? ICMP6_ECHO_REQUEST : 0;
	if (type == ICMP_ECHO || type == ICMP_ECHOREPLY)
		return ICMP_ECHO;
	return type >= ICMP_TIMESTAMP && type <= ICMP_ADDRESS + 1 ? (type - 1) | 1 : 0;
}

/* What stands for ports of ICMP: of a request the identifier on the side that asks and the type on the other, which its
 * answer has the other way round. Any other message has its type where it comes from: it is answered by none. */
static __always_inline void icmp_ports(struct packet *p, __u8 type, __be16 id)
{
	__u8 request = icmp_request(p, type);

	p->icmp_type = type;
	p->icmp_request = request;
	if (!request) {
		p->src_port = bpf_htons(type + 1);
		p->dst_port = 0;
	} else if (request == type) {
		p->src_port = id;
		p->dst_port = bpf_htons(request);
	} else {
		p->src_port = bpf_htons(request);
		p->dst_port = id;
	}
}

static __always_inline int parse_icmp(struct __sk_buff *skb, struct packet *p)
{
	struct {
		__u8 type, code;
		__be16 sum, id, sequence;
	} h;

	if (parse_load(skb, p, p->l4, &h, sizeof(h)))
		return DROP_CT_INVALID_HEADER;
	p->icmp_code = h.code;
	icmp_ports(p, h.type, h.id);
	if (p->v6)
		p->icmp_error = h.type < 128;
	else
		p->icmp_error = h.type == ICMP_DEST_UNREACH || h.type == ICMP_TIME_EXCEEDED || h.type == ICMP_PARAMETERPROB;
	return 0;
}

static __always_inline int parse_tcp(struct __sk_buff *skb, struct packet *p)
{
	struct {
		__be16 src_port, dst_port;
		__be32 seq, ack;
		__u8 offset, flags;
	} h;

	__u32 payload;

	if (parse_load(skb, p, p->l4, &h, 14))
		return DROP_CT_INVALID_HEADER;
	payload = p->l4 + (h.offset >> 4) * 4;
	if ((h.offset >> 4) < 5 || payload > p->end)
		return DROP_CT_INVALID_HEADER;
	p->src_port = h.src_port;
	p->dst_port = h.dst_port;
	p->seq = bpf_ntohl(h.seq);
	p->ack = bpf_ntohl(h.ack);
	p->tcp_flags = h.flags;
	p->seq_end = p->seq + (p->end - payload) + (h.flags & 1) + (h.flags >> 1 & 1); /* FIN and SYN have a number each */
	return 0;
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
		if (parse_load(skb, p, p->l4, ports, sizeof(ports)))
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

static __always_inline int parse4(struct __sk_buff *skb, struct packet *p)
{
	struct iphdr h;
	int reason;

	if (parse_load(skb, p, p->l3, &h, sizeof(h)) || h.version != 4 || h.ihl < 5)
		return DROP_INVALID;
	reason = parse_end(skb, p, h.ihl * 4, bpf_ntohs(h.tot_len));
	if (reason)
		return reason;
	addr_from4(&p->src, h.saddr);
	addr_from4(&p->dst, h.daddr);
	p->protocol = h.protocol;
	p->fragment_protocol = h.protocol;
	p->fragment = h.id;
	p->ttl = h.ttl;
	p->l4 = p->l3 + h.ihl * 4;
	if (h.frag_off & bpf_htons(0x1fff))
		return parse_later(p, (bpf_ntohs(h.frag_off) & 0x1fff) * 8);
	p->first_fragment = !!(h.frag_off & bpf_htons(0x2000));
	return parse_l4(skb, p);
}

#define EXTENSION_HEADERS 6 /* enough for each kind of RFC 8200 section 4.1 once */

static __always_inline int parse_is_extension(__u8 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_DSTOPTS ||
	       protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_AH;
}

static __always_inline int parse6(struct __sk_buff *skb, struct packet *p)
{
	struct ipv6hdr h;
	__u32 length, offset = 0;
	int reason, fragment = 0;

	if (parse_load(skb, p, p->l3, &h, sizeof(h)) || h.version != 6)
		return DROP_INVALID;
	length = bpf_ntohs(h.payload_len);
	reason = parse_end(skb, p, sizeof(h), length ? length + sizeof(h) : 0);
	if (reason)
		return reason;
	__builtin_memcpy(&p->src, &h.saddr, 16);
	__builtin_memcpy(&p->dst, &h.daddr, 16);
	if (addr_is4(&p->src) || addr_is4(&p->dst))
		return DROP_INVALID;
	p->v6 = 1;
	p->ttl = h.hop_limit;
	p->protocol = h.nexthdr;
	p->l4 = p->l3 + sizeof(h);
#pragma unroll
	for (int i = 0; i < EXTENSION_HEADERS; i++) {
		__u8 e[8], kind = p->protocol;

		if (!parse_is_extension(kind))
			break;
		/* A fragment of a fragment (RFC 8200 4.1) belongs to no datagram. */
		if (parse_load(skb, p, p->l4, e, sizeof(e)) || (kind == IPPROTO_FRAGMENT && fragment++))
			return DROP_INVALID_EXTHDR;
		p->protocol = e[0];
		if (kind == IPPROTO_FRAGMENT) {
			p->l4 += 8;
			p->fragment_protocol = e[0];
			p->fragment = *(__u32 *)(e + 4);
			p->first_fragment = e[3] & 1; /* without another it is whole (RFC 6946) */
			offset = e[2] << 8 | (e[3] & 0xf8);
			if (offset)
				break;
		} else {
			p->l4 += kind == IPPROTO_AH ? (e[1] + 2) * 4 : (e[1] + 1) * 8;
		}
	}
	if (offset)
		return parse_later(p, offset);
	return parse_is_extension(p->protocol) ? DROP_INVALID_EXTHDR : parse_l4(skb, p);
}

/* Reads an IP packet behind an Ethernet header. Returns 0 or a drop reason. */
GLOBAL parse(struct __sk_buff *skb, struct packet *p)
{
	if (!p)
		return DROP_INVALID;
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
