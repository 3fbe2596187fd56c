/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* guard: what a NIC that shares an uplink may say to its neighbours, whatever policy says: with its own MAC address, of its own
 * addresses, and nothing that is a router's or a DHCP server's to say.
 */
#ifndef WEFT_GUARD_H
#define WEFT_GUARD_H

#include "ipcache.h"
#include "neighbor.h"
#include "parse.h"
#include "policy.h"
#include "station.h"

/* What is not dropped. */
#define GUARD_PASS 0	 /* neighbours find each other: no policy is asked */
#define GUARD_JUDGE (-1) /* a packet like any other */
#define GUARD_GROUP (-2) /* for many receivers: judged as the packet that it is, not as one of a connection */

#define DHCP_SERVER 67
#define DHCP_CLIENT 68
#define DHCP6_CLIENT 546
#define DHCP6_SERVER 547

/* The link-local address that a NIC makes of its MAC address (RFC 4291 appendix A). */
static __always_inline int guard_is_link_local(const struct addr *a, const struct nic *n)
{
	const __u8 *b = a->b, *m = n->mac;

	return addr_is_link_local6(a) && b[8] == (m[0] ^ 2) && b[9] == m[1] && b[10] == m[2] && b[11] == 0xff && b[12] == 0xfe &&
	       b[13] == m[3] && b[14] == m[4] && b[15] == m[5];
}

/* Whether an address is the NIC's. One that has none by the agent's knowledge may have any that is no other NIC's. */
static __always_inline int guard_is_own(const struct addr *a, const struct nic *n, int v6)
{
	const struct addr *own = v6 ? &n->ipv6 : &n->ipv4;

	if (!addr_is_zero(own) && addr_equal(a, own))
		return 1;
	if (v6 && guard_is_link_local(a, n))
		return 1;
	return addr_is_zero(&n->ipv4) && addr_is_zero(&n->ipv6) && !addr_is_link_local6(a) && !ipcache_exact(a, n->net);
}

static __always_inline int guard_is_unspecified(const struct packet *p, const struct addr *a)
{
	return p->v6 ? addr_is_zero(a) : addr_is4(a) && !addr_4(a);
}

/* Returns 0 or a drop reason. */
GLOBAL guard_arp(struct __sk_buff *skb, const struct nic *n)
{
	struct addr sender;
	struct arp a;

	if (!n || bpf_skb_load_bytes(skb, ETH_HEADER, &a, sizeof(a)) || a.hardware != bpf_htons(ARP_ETHERNET))
		return DROP_UNSUPPORTED_L2;
	if (__builtin_memcmp(a.sender_mac, n->mac, 6))
		return DROP_INVALID_SOURCE_MAC;
	if (!arp_address(a.sender)) /* an address probe (RFC 5227) */
		return 0;
	addr_from4(&sender, arp_address(a.sender));
	return guard_is_own(&sender, n, 0) ? 0 : DROP_INVALID_SOURCE_IP;
}

/* Of neighbour discovery and multicast listeners. Returns GUARD_PASS, GUARD_JUDGE or a drop reason. */
GLOBAL guard_icmp6(struct __sk_buff *skb, struct context *c, const struct nic *n)
{
	if (!c || !n)
		return DROP_INVALID;
	const struct packet *p = &c->packet;
	struct addr target;

	if (p->icmp_type == ICMP6_ND_ROUTER_ADVERT || p->icmp_type == ICMP6_ND_REDIRECT || p->icmp_type == ICMP6_MLD_QUERY)
		return DROP_FORBIDDEN_ICMP6;
	if (!neighbor_is_talk(p) && p->icmp_type != ICMP6_ND_ROUTER_SOLICIT)
		return GUARD_JUDGE;
	if (!guard_is_own(&p->src, n, 1) && !addr_is_zero(&p->src))
		return DROP_INVALID_SOURCE_IP;
	if (icmp_is_listener(p))
		return addr_is_multicast(&p->dst) ? GUARD_PASS : DROP_FORBIDDEN_ICMP6;
	if (p->icmp_type == ICMP6_ND_ROUTER_SOLICIT)
		return p->ttl == 255 ? GUARD_PASS : DROP_FORBIDDEN_ICMP6;
	if (!neighbor_is_valid(p))
		return DROP_FORBIDDEN_ICMP6;
	if (p->icmp_type != ICMP6_ND_ADVERT)
		return GUARD_PASS;
	if (bpf_skb_load_bytes(skb, p->l4 + ND_TARGET, &target, sizeof(target)) || !guard_is_own(&target, n, 1))
		return DROP_FORBIDDEN_ICMP6;
	return GUARD_PASS;
}

/* Of DHCP: clients pass. Returns GUARD_PASS, GUARD_JUDGE or a drop reason. */
static __always_inline int guard_dhcp(const struct packet *p, int own)
{
	__u16 from = bpf_ntohs(p->src_port), to = bpf_ntohs(p->dst_port);

	if (p->protocol != IPPROTO_UDP || p->later_fragment)
		return GUARD_JUDGE;
	if (from == (p->v6 ? DHCP6_SERVER : DHCP_SERVER))
		return DROP_ROGUE_SERVER;
	if (from == (p->v6 ? DHCP6_CLIENT : DHCP_CLIENT) && to == (p->v6 ? DHCP6_SERVER : DHCP_SERVER))
		return own || guard_is_unspecified(p, &p->src) ? GUARD_PASS : DROP_INVALID_SOURCE_IP;
	return GUARD_JUDGE;
}

/* Whether it is an answer of a DHCP server to a client. No NIC of this node gets through with one. */
static __always_inline int guard_is_offer(const struct packet *p)
{
	return p->protocol == IPPROTO_UDP && !p->later_fragment && p->src_port == bpf_htons(p->v6 ? DHCP6_SERVER : DHCP_SERVER) &&
	       p->dst_port == bpf_htons(p->v6 ? DHCP6_CLIENT : DHCP_CLIENT);
}

/* What NIC `n` sends. Reads the packet into the context. Returns GUARD_PASS, GUARD_JUDGE, GUARD_GROUP or a drop reason. */
static __noinline int guard(struct __sk_buff *skb, struct context *c, const struct nic *n, const struct frame *e)
{
	struct packet *p = &c->packet;
	int reason, own;

	if (__builtin_memcmp(e->src, n->mac, 6))
		return DROP_INVALID_SOURCE_MAC;
	if (skb->vlan_present || e->type != skb->protocol) /* else another packet than goes out would be judged */
		return DROP_UNSUPPORTED_L2;
	if (e->type == bpf_htons(ETH_P_ARP))
		return guard_arp(skb, n);
	reason = parse(skb, p);
	if (reason)
		return reason;
	if (p->v6 && p->protocol == IPPROTO_ICMPV6 && !p->later_fragment) {
		reason = guard_icmp6(skb, c, n);
		if (reason != GUARD_JUDGE)
			return reason;
	}
	own = guard_is_own(&p->src, n, p->v6);
	reason = guard_dhcp(p, own);
	if (reason != GUARD_JUDGE)
		return reason;
	if (!own)
		return DROP_INVALID_SOURCE_IP;
	if (addr_is_loopback(&p->dst))
		return DROP_UNKNOWN_TARGET;
	if (p->protocol == 2 && addr_is_multicast(&p->dst)) /* IGMP (RFC 3376): a group has a member */
		return GUARD_PASS;
	return frame_is_group(e) ? GUARD_GROUP : GUARD_JUDGE;
}

/* What the NIC's policy says of a packet for many receivers. It opens no connection, so nothing is remembered, and nothing is told but a
 * drop. Returns 0 or a drop reason. */
GLOBAL guard_ask(struct context *c, const struct nic *n, __u32 direction)
{
	if (!c || !n)
		return DROP_INVALID;
	struct question *q = &c->question;
	const struct packet *p = &c->packet;
	__u32 at = n->set, class;
	struct set *set = bpf_map_lookup_elem(&sets, &at);
	__u64 generation;

	q->direction = direction;
	q->protocol = p->protocol;
	q->port = policy_port(p, 0);
	q->peer_addr = direction == DIRECTION_EGRESS ? p->dst : p->src;
	q->peer = direction == DIRECTION_EGRESS ? c->destination : c->source;
	c->direction = direction;
	c->incarnation = n->incarnation;
	c->verdict = VERDICT_NONE;
	for (int try = 0; set && try < 2 && c->verdict == VERDICT_NONE; try++) {
		generation = *(volatile __u64 *)&set->generation;
		class = generation & SET_HAS_RANGES ? policy_class(generation, q) : 0;
		policy_view(c, q, generation, class, VIEW_IN_FORCE);
	}
	return policy_reason(c->verdict);
}

/* What many get is judged for each of them, but not what neighbours need to find each other. Reads the packet into the context. Returns 0 or a
 * drop reason. */
static __always_inline int guard_group_enters(struct __sk_buff *skb, struct context *c, struct nic *n)
{
	struct packet *p = &c->packet;
	int reason;

	if (skb->protocol == bpf_htons(ETH_P_ARP))
		return 0;
	reason = parse(skb, p);
	if (reason)
		return reason;
	if ((p->v6 && p->protocol == IPPROTO_ICMPV6 && neighbor_is_talk(p)) || p->protocol == 2)
		return 0;
	if (p->protocol == IPPROTO_UDP && p->src_port == bpf_htons(p->v6 ? DHCP6_SERVER : DHCP_SERVER))
		return 0; /* of the wire: a NIC of this node may not say that */
	c->source = ipcache_identity(ipcache_lookup(&p->src, c->net), p->v6);
	c->destination = n->identity;
	return guard_ask(c, n, DIRECTION_INGRESS);
}

#endif
