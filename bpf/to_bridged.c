/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* to_bridged: what a bridge, or the node itself, sends to a NIC whose other side is a port of that bridge, at that port (egress). */
#include "lib/bridged.h"

/* What many get, of a NIC here or by the wire: nothing there may have the address of a NIC of this node. */
static __always_inline int group_enters(struct __sk_buff *skb, struct context *c, struct nic *n, int known)
{
	int reason = guard_group_enters(skb, c, n);

	if (!reason && !known && skb->protocol != bpf_htons(ETH_P_ARP) && ipcache_is_local_pod(ipcache_lookup(&c->packet.src, c->net)))
		reason = DROP_INVALID_SOURCE_IP;
	return reason ? drop(skb, c, reason) : TC_ACT_OK;
}

/* What a bridge floods since it knows no port for it is no business of this NIC's, nor is a tag where none is let through. No flow tells of it:
 * there is one such frame for each NIC of the bridge. */
static __always_inline int is_for_others(struct __sk_buff *skb, const struct station *port, const struct nic *n, const struct frame *e)
{
	if (skb->vlan_present)
		return !(port->flags & STATION_TRUNK);
	return !frame_is_group(e) && __builtin_memcmp(e->dst, n->mac, 6);
}

SEC("tc")
int to_bridged(struct __sk_buff *skb)
{
	struct station *port = bridged_port(skb->ifindex);
	struct context *c;
	struct nic *n;
	struct frame e;
	int known;

	if (!port || !port->nic)
		return UPLINK_NEXT;
	c = context_of(HOOK_TO_BRIDGED);
	if (!c || frame_read(skb, &e))
		return TC_ACT_SHOT;
	n = bridged_begin(c, port);
	if (!n)
		return drop(skb, c, DROP_NIC_NOT_READY);
	if (is_for_others(skb, port, n, &e))
		return c->audited ? TC_ACT_OK : TC_ACT_SHOT;
	known = skb->hash == bridged_sign(port, n);
	bpf_set_hash_invalid(skb);
	if (skb->vlan_present)
		return TC_ACT_OK;
	if (frame_is_group(&e))
		return group_enters(skb, c, n, known);
	return counted(skb, c, uplink_enters(skb, c, n, port->nic, known ? SENDER_SOME : 0));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
