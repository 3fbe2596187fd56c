/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* neighbor: what a workload and this node say to each other as neighbours on one link. A workload asks for the link-layer
 * address of any neighbour and gets its gateway's (RFC 826, RFC 4861 7.2.4). What is about an address of its own NIC, between the
 * two, passes without policy; all else is a packet like any other.
 */
#ifndef WEFT_NEIGHBOR_H
#define WEFT_NEIGHBOR_H

#include "abi/nic.h"
#include "arp.h"
#include "drop.h"
#include "icmp.h"
#include "ipcache.h"

#define ND_SOLICIT_SIZE 24
#define ND_TARGET 8
#define ND_OPTION_TARGET_MAC 2
#define ND_FLAG_SOLICITED 0x40
#define ND_FLAGS 0x60 /* solicited, override */

GLOBAL neighbor_arp(struct __sk_buff *skb, struct context *c, const struct nic *n)
{
	if (!c || !n)
		return TC_ACT_SHOT;
	struct arp a;

	if (bpf_skb_load_bytes(skb, ETH_HEADER, &a, sizeof(a)) || a.hardware != bpf_htons(ARP_ETHERNET))
		return drop(skb, c, DROP_UNSUPPORTED_L2);
	/* The host asked who has the workload's address. */
	if (a.operation == bpf_htons(ARP_REPLY) && !__builtin_memcmp(a.sender, (__u8 *)&n->ipv4 + 12, 4))
		return TC_ACT_OK;
	if (a.operation != bpf_htons(ARP_REQUEST))
		return drop(skb, c, DROP_UNSUPPORTED_L2);
	/* A gratuitous request or an address probe (RFC 5227): an answer would say that the address is taken. */
	if (!__builtin_memcmp(a.target, (__u8 *)&n->ipv4 + 12, 4))
		return TC_ACT_SHOT;
	return arp_turn(skb, &a, n->host_mac) ? drop(skb, c, DROP_WRITE) : bpf_redirect(skb->ifindex, 0);
}

static __always_inline int neighbor_is_talk(const struct packet *p)
{
	return p->v6 && p->protocol == IPPROTO_ICMPV6 && !p->later_fragment && (icmp_is_listener(p) ||
	       (p->icmp_type >= ICMP6_ND_ROUTER_ADVERT && p->icmp_type <= ICMP6_ND_REDIRECT));
}

/* Otherwise a solicitation or advertisement has crossed a router, or hides something in a fragment (RFC 4861 7.1, RFC 6980). */
static __always_inline int neighbor_is_valid(const struct packet *p)
{
	return p->ttl == 255 && !p->icmp_code && !p->first_fragment && p->l4 == ETH_HEADER + sizeof(struct ipv6hdr) &&
	       p->end >= p->l4 + ND_SOLICIT_SIZE;
}

static __always_inline int neighbor_is_own(const struct addr *a, const struct nic *n)
{
	return addr_is_link_local6(a) || (!addr_is_zero(a) && addr_equal(a, &n->ipv6));
}

/* The workload tells this node, or the whole link, of an address of its NIC (RFC 4861 7.1.2). */
static __always_inline int neighbor_answers(struct __sk_buff *skb, const struct packet *p, const struct nic *n)
{
	struct {
		__u8 flags, reserved[3];
		struct addr target;
	} __attribute__((packed)) na;
	struct addr target;

	if (!neighbor_is_valid(p) || !neighbor_is_own(&p->src, n) || bpf_skb_load_bytes(skb, p->l4 + 4, &na, sizeof(na)))
		return 0;
	target = na.target;
	if (!neighbor_is_own(&target, n))
		return 0;
	if (p->dst.b[0] == 0xff) /* to all nodes of the link it is no answer */
		return p->dst.b[1] == 2 && p->dst.b[15] == 1 && !*(__u64 *)(p->dst.b + 2) && !(na.flags & ND_FLAG_SOLICITED);
	return addr_is_link_local6(&p->dst) || ipcache_is_this_node(ipcache_exact(&p->dst, n->net));
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

	if (!neighbor_is_valid(p) || bpf_skb_load_bytes(skb, p->l4 + ND_TARGET, body.target, 16) || body.target[0] == 0xff)
		return drop(skb, c, DROP_FORBIDDEN_ICMP6);
	/* Duplicate address detection, and looking for itself: an answer would say that the address is taken. */
	if (addr_is_zero(&p->src) || !__builtin_memcmp(body.target, n->ipv6.b, 16))
		return TC_ACT_SHOT;
	if (!neighbor_is_own(&p->src, n))
		return drop(skb, c, DROP_INVALID_SOURCE_IP);
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

#define NEIGHBOR_JUDGE -1 /* a packet like any other */

/* What a workload says as a neighbour: an action, or NEIGHBOR_JUDGE. Multicast groups have no members here, and no workload routes. */
GLOBAL neighbor_hear(struct __sk_buff *skb, struct context *c, const struct nic *n)
{
	if (!c || !n)
		return TC_ACT_SHOT;
	const struct packet *p = &c->packet;

	if (icmp_is_listener(p)) {
		count(skb, c->hook, DROP_FORBIDDEN_ICMP6);
		return TC_ACT_SHOT;
	}
	if (p->icmp_type == ICMP6_ND_SOLICIT)
		return neighbor_solicit(skb, c, n);
	if (p->icmp_type == ICMP6_ND_ADVERT)
		return neighbor_answers(skb, p, n) ? TC_ACT_OK : NEIGHBOR_JUDGE;
	return drop(skb, c, DROP_FORBIDDEN_ICMP6);
}

/* What goes to the workload as a neighbour: of a socket of this node it passes. An action, or NEIGHBOR_JUDGE. */
GLOBAL neighbor_speak(struct __sk_buff *skb, struct context *c)
{
	if (!c)
		return TC_ACT_SHOT;
	const struct packet *p = &c->packet;

	if (icmp_is_listener(p)) {
		count(skb, c->hook, DROP_FORBIDDEN_ICMP6);
		return TC_ACT_SHOT;
	}
	return c->source == IDENTITY_HOST && neighbor_is_valid(p) && (p->icmp_type == ICMP6_ND_SOLICIT || p->icmp_type == ICMP6_ND_ADVERT) ?
		TC_ACT_OK : NEIGHBOR_JUDGE;
}

#endif
