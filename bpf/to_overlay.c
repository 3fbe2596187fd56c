/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* to_overlay: what enters the tunnel device (tcx egress). What comes from from_pod has its tunnel key already; what
 * the host's stack routed here gets one now. */
#include "lib/identity.h"
#include "lib/outside.h"

SEC("tc")
int to_overlay(struct __sk_buff *skb)
{
	struct context *c;
	struct ipcache *h;
	int reason;

	if (mark_kind(skb) == MARK_ENCAPSULATED) {
		mark_set(skb, 0, MARK_ENCAPSULATED); /* to_net sees it, too */
		return TC_ACT_OK;
	}
	c = context_of(HOOK_TO_OVERLAY);
	if (!c)
		return TC_ACT_SHOT;
	c->net = net_of_device();
	reason = parse(skb, &c->packet);
	if (!reason)
		reason = dsr_forged(skb, &c->packet);
	if (reason)
		return drop(skb, c, reason);
	c->source = identity_from_stack(skb, c);
	h = ipcache_lookup(&c->packet.dst, c->net);
	c->destination = ipcache_identity(h, c->packet.v6);
	if (!h || addr_is_zero(&h->tunnel))
		return drop(skb, c, DROP_NO_TUNNEL);
	reason = node_leaves(skb, c);
	if (!reason)
		reason = outside_reply(skb, c);
	if (!reason && (h->flags & IPCACHE_VTEP))
		reason = overlay_wrap_foreign(skb, &h->tunnel, h->mac);
	else if (!reason)
		reason = overlay_encap(skb, &h->tunnel, c->source);
	if (reason)
		return drop(skb, c, reason);
	count(skb, HOOK_TO_OVERLAY, 0);
	mark_set(skb, 0, MARK_ENCAPSULATED);
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
