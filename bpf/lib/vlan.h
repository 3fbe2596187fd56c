/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* vlan: a frame with a tag (IEEE 802.1Q) that is seen at a device belongs to the VLAN device above it, which is another link
 * with programs of its own, or none. Number 0 is no VLAN, only a priority: such a frame is the device's own.
 */
#ifndef WEFT_VLAN_H
#define WEFT_VLAN_H

#include "mark.h"
#include "packet.h"

/* Whether the frame belongs to a VLAN device. If its first tag is a priority the kernel goes on to the next one, which lies in the
 * frame (__netif_receive_skb_core). After two priorities it would give the device a packet that no program has seen: -1, for
 * such a frame is to be dropped. */
static __always_inline int vlan_is_other(struct __sk_buff *skb)
{
	__be16 next;

	if (skb->vlan_present && (skb->vlan_tci & VLAN_NUMBER))
		return 1;
	if (skb->protocol != bpf_htons(ETH_P_8021Q) && skb->protocol != bpf_htons(ETH_P_8021AD))
		return 0;
	if (bpf_skb_load_bytes(skb, ETH_HEADER, &next, sizeof(next)))
		return -1;
	return next & bpf_htons(VLAN_NUMBER) ? 1 : -1;
}

/* Passes a VLAN's frame on to the host's stack. Whatever its address, its sender is outside: the mark says so to to_pod and to
 * from_overlay. If the VLAN device has programs, they write the mark anew. */
static __always_inline int vlan_pass(struct __sk_buff *skb)
{
	mark_set(skb, skb->protocol == bpf_htons(ETH_P_IPV6) ? config.world6 : config.world4, MARK_IDENTITY);
	return TC_ACT_OK;
}

#endif
