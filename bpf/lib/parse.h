/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* parse: from bytes to one struct packet for both families. The only file beside rewrite.h that knows families.
 *
 * Refuses what would let an address mean two things: IPv4-mapped addresses inside IPv6 (architecture section 5),
 * truncated headers, IPv4 source routes are left to the workload's stack. Follows IPv6 extension headers (RFC 8200 4)
 * and learns a datagram's ports from its first fragment.
 */
#ifndef WEFT_PARSE_H
#define WEFT_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include "addr.h"
#include "share.h"

#define ETH_HEADER 14
#define FRAGMENT_LIFE (30 * SECOND) /* RFC 8200 4.5 gives up after 60 s, Linux after 30 s (ip_frag_time) */
/* RFC 792, RFC 4443, RFC 4861. */
#define ICMP_ECHOREPLY 0
#define ICMP_DEST_UNREACH 3
#define ICMP_SOURCE_QUENCH 4
#define ICMP_REDIRECT 5
#define ICMP_ECHO 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12
#define ICMP_TIMESTAMP 13
#define ICMP_INFO_REQUEST 15
#define ICMP_ADDRESS 17
#define ICMP6_ECHO_REQUEST 128
#define ICMP6_ECHO_REPLY 129
#define ICMP6_ND_SOLICIT 135
#define ICMP6_ND_ADVERT 136

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
	__u8 later_fragment; /* has no L4 header */
	__u8 icmp_error;     /* quotes another packet at l4 + 8 */
	__u8 icmp_request;   /* type of the request that this is or answers; 0: neither */
	__u8 pad[3];
	__u32 owner;	     /* whose share holds what this packet opens: key of shares */
	__u32 seq;	     /* TCP */
	__u32 ack;
};

/* Copies bytes of a packet; mostly they lie in its linear part, where no helper is needed. Returns 0, or not if the
 * packet is too short. */
static __always_inline int parse_load(struct __sk_buff *skb, __u32 at, void *to, const __u32 size)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

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

/* Ports of a later fragment come from what its first one left. */
static __always_inline int parse_fragment(struct packet *p, __u32 id, int first)
{
	struct fragment_key key = { .src = p->src, .dst = p->dst, .id = id, .protocol = p->protocol };
	struct fragment *f = bpf_map_lookup_elem(&fragments, &key);
	__u64 now = bpf_ktime_get_ns();

	if (first) {
		struct fragment ports = { .src_port = p->src_port, .dst_port = p->dst_port, .owner = p->owner };
		__u64 life = FRAGMENT_LIFE;
		int reason;

		if (f)
			share_remove(&fragments, &key, f->owner, SHARED_FRAGMENTS);
		reason = share_take(p->owner, SHARED_FRAGMENTS, config_fragments_limit, &life);
		if (reason)
			return reason;
		ports.expires = now + life;
		if (bpf_map_update_elem(&fragments, &key, &ports, BPF_NOEXIST)) {
			share_give(p->owner, SHARED_FRAGMENTS);
			return DROP_FRAGMENTS_FULL;
		}
		return 0;
	}
	if (!f || f->expires < now)
		return DROP_FRAGMENT_NOT_FOUND;
	p->src_port = f->src_port;
	p->dst_port = f->dst_port;
	return 0;
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

	if (parse_load(skb, p->l4, &h, sizeof(h)))
		return DROP_CT_INVALID_HEADER;
	p->icmp_type = h.type;
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

	if (parse_load(skb, p->l4, &h, 14))
		return DROP_CT_INVALID_HEADER;
	p->src_port = h.src_port;
	p->dst_port = h.dst_port;
	p->seq = bpf_ntohl(h.seq);
	p->ack = bpf_ntohl(h.ack);
	p->tcp_flags = h.flags;
	return 0;
}

/* Fills ports, flags and ICMP type from the header at p->l4. */
static __always_inline int parse_l4(struct __sk_buff *skb, struct packet *p)
{
	__be16 ports[2];

	switch (p->protocol) {
	case IPPROTO_TCP:
		return parse_tcp(skb, p);
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		if (parse_load(skb, p->l4, ports, sizeof(ports)))
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

static __always_inline int parse4(struct __sk_buff *skb, struct packet *p, __u16 l3)
{
	struct iphdr h;
	int reason, first, more;

	if (parse_load(skb, l3, &h, sizeof(h)) || h.version != 4 || h.ihl < 5)
		return DROP_INVALID;
	addr_from4(&p->src, h.saddr);
	addr_from4(&p->dst, h.daddr);
	p->protocol = h.protocol;
	p->ttl = h.ttl;
	p->l4 = l3 + h.ihl * 4;
	first = !(h.frag_off & bpf_htons(0x1fff));
	more = h.frag_off & bpf_htons(0x2000);
	if (!first) {
		p->later_fragment = 1;
		return parse_fragment(p, h.id, 0);
	}
	reason = parse_l4(skb, p);
	if (reason)
		return reason;
	return more ? parse_fragment(p, h.id, 1) : 0;
}

#define EXTENSION_HEADERS 6 /* enough for each kind of RFC 8200 section 4.1 once */

static __always_inline int parse6(struct __sk_buff *skb, struct packet *p, __u16 l3)
{
	struct ipv6hdr h;
	__u32 id = 0;
	int fragment = 0, first = 1, reason;

	if (parse_load(skb, l3, &h, sizeof(h)) || h.version != 6)
		return DROP_INVALID;
	__builtin_memcpy(&p->src, &h.saddr, 16);
	__builtin_memcpy(&p->dst, &h.daddr, 16);
	if (addr_is4(&p->src) || addr_is4(&p->dst))
		return DROP_INVALID;
	p->v6 = 1;
	p->ttl = h.hop_limit;
	p->protocol = h.nexthdr;
	p->l4 = l3 + sizeof(h);
#pragma unroll
	for (int i = 0; i < EXTENSION_HEADERS; i++) {
		__u8 e[8];

		if (p->protocol != IPPROTO_HOPOPTS && p->protocol != IPPROTO_ROUTING &&
		    p->protocol != IPPROTO_DSTOPTS && p->protocol != IPPROTO_FRAGMENT && p->protocol != IPPROTO_AH)
			break;
		if (parse_load(skb, p->l4, e, sizeof(e)))
			return DROP_INVALID_EXTHDR;
		if (p->protocol == IPPROTO_FRAGMENT) {
			fragment = 1;
			first = !(e[2] || (e[3] & 0xf8));
			id = *(__u32 *)(e + 4);
			p->l4 += 8;
		} else if (p->protocol == IPPROTO_AH) {
			p->l4 += (e[1] + 2) * 4;
		} else {
			p->l4 += (e[1] + 1) * 8;
		}
		p->protocol = e[0];
		if (!first)
			break;
	}
	if (!first) {
		p->later_fragment = 1;
		return parse_fragment(p, id, 0);
	}
	reason = parse_l4(skb, p);
	if (reason)
		return reason;
	return fragment ? parse_fragment(p, id, 1) : 0;
}

/* Reads an IP packet behind an Ethernet header. Returns 0 or a drop reason. */
GLOBAL parse(struct __sk_buff *skb, struct packet *p)
{
	if (!p)
		return DROP_INVALID;
	p->l3 = ETH_HEADER;
	switch (skb->protocol) {
	case bpf_htons(ETH_P_IP):
		return parse4(skb, p, ETH_HEADER);
	case bpf_htons(ETH_P_IPV6):
		return parse6(skb, p, ETH_HEADER);
	default:
		return DROP_UNSUPPORTED_L2;
	}
}

#endif
