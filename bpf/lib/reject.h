/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* reject: a workload that calls a service without backends, or a cluster address at a port that its service has not, is told at once, by
 * ICMP port unreachable from that address about the packet (RFC 792, RFC 4443 3.1); so is a machine outside, as long as few call. */
#ifndef WEFT_REJECT_H
#define WEFT_REJECT_H

#include <linux/if_packet.h>
#include "abi/reject.h"
#include "deliver.h"

#define ICMP_CODE_PORT_UNREACH 3
#define ICMP_CODE_TOO_BIG 4
#define ICMP6_DEST_UNREACH 1
#define ICMP6_TOO_BIG 2
#define ICMP6_CODE_PORT_UNREACH 4
#define ICMP_HEADER 8
#define REJECT_TTL 64

static __always_inline __be16 reject_fold(__s64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* What the error says. mtu 0: no server is at the port; else the packet is longer than that (RFC 1191 4, RFC 4443 3.2). */
static __always_inline int reject_write4(struct __sk_buff *skb, struct packet *p, __u32 quoted, __s64 sum, __u32 mtu)
{
	struct iphdr ip = { .version = 4, .ihl = 5, .ttl = REJECT_TTL, .protocol = IPPROTO_ICMP };
	__be16 icmp[4] = {};

	ip.tot_len = bpf_htons(sizeof(ip) + ICMP_HEADER + quoted);
	ip.frag_off = bpf_htons(0x4000);
	ip.saddr = addr_4(&p->dst);
	ip.daddr = addr_4(&p->src);
	ip.check = reject_fold(bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0));
	icmp[0] = bpf_htons(ICMP_DEST_UNREACH << 8 | (mtu ? ICMP_CODE_TOO_BIG : ICMP_CODE_PORT_UNREACH));
	icmp[3] = bpf_htons(mtu);
	icmp[1] = reject_fold(bpf_csum_diff(NULL, 0, (__be32 *)icmp, sizeof(icmp), sum));
	return bpf_skb_store_bytes(skb, ETH_HEADER, &ip, sizeof(ip), 0) ||
	       bpf_skb_store_bytes(skb, ETH_HEADER + sizeof(ip), icmp, sizeof(icmp), 0);
}

static __always_inline int reject_write6(struct __sk_buff *skb, struct packet *p, __u32 quoted, __s64 sum, __u32 mtu)
{
	struct ipv6hdr ip = { .version = 6, .nexthdr = IPPROTO_ICMPV6, .hop_limit = REJECT_TTL };
	__be32 pseudo[2] = { bpf_htonl(ICMP_HEADER + quoted), bpf_htonl(IPPROTO_ICMPV6) };
	__be16 icmp[4] = {};

	ip.payload_len = bpf_htons(ICMP_HEADER + quoted);
	__builtin_memcpy(&ip.saddr, &p->dst, 16);
	__builtin_memcpy(&ip.daddr, &p->src, 16);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&ip.saddr, 32, sum);
	sum = bpf_csum_diff(NULL, 0, pseudo, sizeof(pseudo), sum);
	icmp[0] = bpf_htons(mtu ? ICMP6_TOO_BIG << 8 : ICMP6_DEST_UNREACH << 8 | ICMP6_CODE_PORT_UNREACH);
	icmp[3] = bpf_htons(mtu);
	icmp[1] = reject_fold(bpf_csum_diff(NULL, 0, (__be32 *)icmp, sizeof(icmp), sum));
	return bpf_skb_store_bytes(skb, ETH_HEADER, &ip, sizeof(ip), 0) ||
	       bpf_skb_store_bytes(skb, ETH_HEADER + sizeof(ip), icmp, sizeof(icmp), 0);
}

/* How much of the L4 header is quoted: 8 bytes at least, and not less than up to the checksum that a device may yet have
 * to fill in, or the kernel refuses to cut. */
static __always_inline __u32 reject_quotes(const struct packet *p)
{
	__u32 least = parse_least(p->protocol);

	return least ? least : 8;
}

/* Turns the packet into the ICMP error about itself: cut, with new headers in front. mtu: see reject_write4. Returns 0 if done. */
GLOBAL reject_turn(struct __sk_buff *skb, struct context *c, __u32 mtu)
{
	if (!c)
		return 1;
	struct packet *p = &c->packet;
	__u32 quoted = p->l4 - p->l3 + reject_quotes(p), room = ICMP_HEADER + (p->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	__s64 sum;

	if (p->later_fragment || p->l4 < p->l3 || (quoted & 3))
		return 1;
	/* A compiler makes both bounds one comparison of a copy, and the verifier does not know them then (seen on 6.1 and 6.12). */
	asm volatile("" : "+r"(quoted));
	if (quoted < 8)
		return 1;
	asm volatile("" : "+r"(quoted));
	if (quoted > sizeof(c->quote))
		return 1;
	__builtin_memset(c->quote, 0, sizeof(c->quote)); /* zeros do not change a sum */
	if (bpf_skb_load_bytes(skb, p->l3, c->quote, quoted))
		return 1;
	sum = bpf_csum_diff(NULL, 0, (__be32 *)c->quote, sizeof(c->quote), 0);
	if (bpf_skb_change_tail(skb, ETH_HEADER + quoted, 0) || bpf_skb_adjust_room(skb, room, BPF_ADJ_ROOM_MAC, 0))
		return 1;
	return p->v6 ? reject_write6(skb, p, quoted, sum, mtu) : reject_write4(skb, p, quoted, sum, mtu);
}

/* Drops a packet; if it called a service that has no backend, the caller gets an error about it. The packet counts as dropped. ICMP
 * errors are not answered (RFC 1122 3.2.2). */
static __always_inline int reject(struct __sk_buff *skb, struct context *c, const struct nic *n, __u32 reason)
{
	int action = drop(skb, c, reason);

	if (reason != DROP_NO_BACKEND || !config.reject || c->packet.icmp_error || reject_turn(skb, c, 0))
		return action;
	return deliver_into(skb, n, skb->ifindex);
}

/* Whether one more call from outside may be answered. `now`: as of the last tick. */
static __always_inline int reject_affords(__u64 now)
{
	__u32 zero = 0;
	struct refusals *r = bpf_map_lookup_elem(&refusals, &zero);
	__u64 earned;

	if (!r)
		return 0;
	earned = now > r->filled ? (now - r->filled) * REFUSALS_PER_SECOND / SECOND : 0;
	if (earned) {
		r->tokens += earned;
		if (r->tokens > REFUSALS_AT_ONCE)
			r->tokens = REFUSALS_AT_ONCE;
		r->filled = now;
	}
	if (!r->tokens)
		return 0;
	r->tokens--;
	return 1;
}

/* Makes a call from elsewhere that is dropped, for want of a backend, or since it is longer than `mtu`, the answer to it. No answer goes to many,
 * nor about what was sent to many (RFC 1122 3.2.2). Returns 0 if done. */
GLOBAL reject_call(struct __sk_buff *skb, __u32 mtu)
{
	struct context *c = context_here();
	struct packet *p;
	struct addr client;

	if (!c || c->packet.icmp_error || c->packet.later_fragment)
		return 1;
	if (!mtu && (!config.reject || (c->service_flags & SERVICE_SILENT)))
		return 1;
	p = &c->packet;
	if (skb->pkt_type == PACKET_BROADCAST || skb->pkt_type == PACKET_MULTICAST || addr_is_multicast(&p->src))
		return 1;
	if (!reject_affords(c->now) || reject_turn(skb, c, mtu))
		return 1;
	client = p->src;
	p->src = p->dst;
	p->dst = client;
	p->protocol = p->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	p->ttl = REJECT_TTL;
	p->first_fragment = 0; /* nothing of its datagram is to follow */
	c->source = IDENTITY_HOST;
	return 0;
}

/* Answers a call that came by a device of the node, by that device, to the machine that it came from. */
static __always_inline int reject_outside(struct __sk_buff *skb, __u32 mtu)
{
	__u8 macs[12];

	if (bpf_skb_load_bytes(skb, 0, macs, sizeof(macs)) || reject_call(skb, mtu) || rewrite_macs(skb, macs + 6, macs))
		return TC_ACT_SHOT;
	mark_set(skb, 0, MARK_DELIVERED); /* to_net has nothing to do with it */
	return bpf_redirect(skb->ifindex, 0);
}

#endif
