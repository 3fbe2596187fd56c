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
	reason = guard_group_enters(skb, c, n);
	return reason ? drop(skb, c, reason) : TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
