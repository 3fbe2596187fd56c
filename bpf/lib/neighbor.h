/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* neighbor: a workload asks for the link-layer address of anybody and gets its gateway's (RFC 826, RFC 4861 7.2.4). */
#ifndef WEFT_NEIGHBOR_H
#define WEFT_NEIGHBOR_H

#include "rewrite.h"
#include "identity.h"

struct arp {
	__be16 hardware, protocol;
	__u8 hardware_size, protocol_size;
	__be16 operation;
	__u8 sender_mac[6], sender[4], target_mac[6], target[4];
} __attribute__((packed));

#define ARP_ETHERNET 1
#define ARP_REQUEST 1
#define ARP_REPLY 2
#define ND_SOLICIT_SIZE 24
#define ND_TARGET 8
#define ND_OPTION_TARGET_MAC 2
#define ND_FLAGS 0x60 /* solicited, override */

GLOBAL neighbor_arp(struct __sk_buff *skb, struct context *c, const struct nic *n)
{
	if (!c || !n)
		return TC_ACT_SHOT;
	struct arp a;
	__u8 target[4];
	__u8 macs[12];

	if (bpf_skb_load_bytes(skb, ETH_HEADER, &a, sizeof(a)) || a.hardware != bpf_htons(ARP_ETHERNET))
		return drop(skb, c, DROP_UNSUPPORTED_L2);
	/* The host asked who has the workload's address. */
	if (a.operation == bpf_htons(ARP_REPLY) && !__builtin_memcmp(a.sender, (__u8 *)&n->ipv4 + 12, 4))
		return TC_ACT_OK;
	if (a.operation != bpf_htons(ARP_REQUEST))
		return drop(skb, c, DROP_UNSUPPORTED_L2);
	/* Gratuitous requests and address probes (RFC 5227) want silence. */
	if (!__builtin_memcmp(a.target, (__u8 *)&n->ipv4 + 12, 4))
		return TC_ACT_SHOT;
	__builtin_memcpy(target, a.target, 4);
	a.operation = bpf_htons(ARP_REPLY);
	__builtin_memcpy(a.target_mac, a.sender_mac, 6);
	__builtin_memcpy(a.target, a.sender, 4);
	__builtin_memcpy(a.sender_mac, n->host_mac, 6);
	__builtin_memcpy(a.sender, target, 4);
	__builtin_memcpy(macs, a.target_mac, 6);
	__builtin_memcpy(macs + 6, n->host_mac, 6);
	if (bpf_skb_store_bytes(skb, ETH_HEADER, &a, sizeof(a), 0) || bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0))
		return drop(skb, c, DROP_WRITE);
	return bpf_redirect(skb->ifindex, 0);
}

static __always_inline int neighbor_is_solicit(const struct packet *p)
{
	return p->v6 && p->protocol == IPPROTO_ICMPV6 && p->icmp_type == ICMP6_ND_SOLICIT;
}

/* The workload answers the host: its own address, to this link alone (RFC 4861 7.1.2). */
static __always_inline int neighbor_is_answer(const struct packet *p, const struct nic *n)
{
	return p->v6 && p->protocol == IPPROTO_ICMPV6 && p->icmp_type == ICMP6_ND_ADVERT && p->ttl == 255 && addr_equal(&p->src, &n->ipv6);
}

/* Turns the solicitation into its advertisement in place: 24 bytes and one option of 8. */
GLOBAL neighbor_solicit(struct __sk_buff *skb, struct context *c, const struct nic *n)
{
	if (!c || !n)
		return TC_ACT_SHOT;
	struct packet *p = &c->packet;
	struct {
		__u8 type, code;
		__be16 sum;
		__u8 flags, reserved[3];
		__u8 target[16];
		__u8 option, option_size, mac[6];
	} __attribute__((aligned(8))) body = {};
	struct ipv6hdr ip;
	__u8 macs[12];
	__s64 sum;
	__be32 pseudo[2] = { bpf_htonl(sizeof(body)), bpf_htonl(IPPROTO_ICMPV6) };

	if (p->ttl != 255 || p->end < p->l4 + ND_SOLICIT_SIZE || p->l4 != ETH_HEADER + sizeof(ip))
		return drop(skb, c, DROP_FORBIDDEN_ICMP6);
	/* Duplicate address detection: nobody else can have it. */
	if (addr_is_zero(&p->src))
		return TC_ACT_SHOT;
	if (bpf_skb_load_bytes(skb, p->l4 + ND_TARGET, body.target, 16) || !__builtin_memcmp(body.target, n->ipv6.b, 16))
		return TC_ACT_SHOT;
	if (bpf_skb_change_tail(skb, ETH_HEADER + sizeof(ip) + sizeof(body), 0) || bpf_skb_load_bytes(skb, 6, macs, 6) ||
	    bpf_skb_load_bytes(skb, ETH_HEADER, &ip, sizeof(ip)))
		return drop(skb, c, DROP_WRITE);
	body.type = ICMP6_ND_ADVERT;
	body.flags = ND_FLAGS;
	body.option = ND_OPTION_TARGET_MAC;
	body.option_size = 1;
	__builtin_memcpy(body.mac, n->host_mac, 6);
	ip.payload_len = bpf_htons(sizeof(body));
	__builtin_memcpy(&ip.daddr, &p->src, 16);
	__builtin_memcpy(&ip.saddr, body.target, 16);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&ip.saddr, 32, 0);
	sum = bpf_csum_diff(NULL, 0, pseudo, sizeof(pseudo), sum);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&body, sizeof(body), sum);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	body.sum = ~sum;
	__builtin_memcpy(macs + 6, n->host_mac, 6);
	if (bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0) || bpf_skb_store_bytes(skb, ETH_HEADER, &ip, sizeof(ip), 0) ||
	    bpf_skb_store_bytes(skb, ETH_HEADER + sizeof(ip), &body, sizeof(body), 0))
		return drop(skb, c, DROP_WRITE);
	return bpf_redirect(skb->ifindex, 0);
}

#endif
