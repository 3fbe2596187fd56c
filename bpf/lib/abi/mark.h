/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/mark: bits and kinds of skb->mark; docs/packet-path.md has a table. */
#ifndef WEFT_ABI_MARK_H
#define WEFT_ABI_MARK_H

#include <linux/types.h>

/* skb->mark across the host's stack: identity in bits 31..16 and 7..0 (its high byte), kind in 11..8.
 * kube-proxy's 0x4000 and 0x8000 are never touched. */
enum mark_kind {
	MARK_NONE = 0,
	MARK_PROXY = 0x200,
	MARK_ENCRYPT = 0xe00,
	MARK_HOST = 0xc00,
	MARK_DELIVERED = 0x100, /* judged by from_pod already: to_pod lets it pass into a pod, to_net to another node */
	MARK_ENCAPSULATED = 0x700, /* tunnel key is set already: to_overlay lets it pass, and to_net what it becomes */
	MARK_EGRESS_GATEWAY = 0x800,
	MARK_IDENTITY = 0xf00,
};
#define MARK_KIND_MASK 0x0f00u
#define MARK_MASK 0xffff0fffu
#define MARK_SIGN 0x5746 /* skb->tc_index of a packet whose mark a program of ours wrote */

#endif
