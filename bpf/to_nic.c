/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* to_nic: what comes to a NIC that shares an uplink, at the NIC itself, in the workload's namespace (ingress). What is for this NIC alone
 * has been judged at the uplink. What is for many reaches NICs of one node without passing there. */
#include "lib/guard.h"
#include "lib/inside.h"

/* Whether a frame for many came by the wire, or is signed by another NIC here. */
static __always_inline int group_known(struct __sk_buff *skb, const struct frame *e)
{
	struct station *s;

	if (skb->hash == inside.wire_sign)
		return 1;
	s = station_of(inside.uplink, e->src);
	return s && !(s->flags & STATION_NODE) && station_signed(skb, s, 1);
}

/* What many get is judged for each of them, but not what neighbours need to find each other. */
static __always_inline int group_enters(struct __sk_buff *skb, struct context *c, struct nic *n)
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

SEC("tc")
int to_nic(struct __sk_buff *skb)
{
	struct context *c = context_of(HOOK_TO_NIC);
	struct nic *n = c ? inside_begin(c) : NULL;
	struct frame e;
	int reason;

	if (!n)
		return c ? drop(skb, c, DROP_NIC_NOT_READY) : TC_ACT_SHOT;
	if (frame_read(skb, &e))
		return drop(skb, c, DROP_INVALID);
	if (!frame_is_group(&e))
		return TC_ACT_OK;
	if (!group_known(skb, &e))
		return station_refuse(skb, c);
	bpf_set_hash_invalid(skb);
	reason = group_enters(skb, c, n);
	return reason ? drop(skb, c, reason) : TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
