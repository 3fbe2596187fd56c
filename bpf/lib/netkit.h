/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* netkit: what differs where from_pod runs at the workload's side of a netkit pair, as that transmits. */
#ifndef WEFT_NETKIT_H
#define WEFT_NETKIT_H

#include "config.h"

/* Behind veth skb->protocol is read from the frame (eth_type_trans). At netkit it is what the sender's socket says, and the frame, which
 * leaves as it is, may say otherwise: then programs would judge another packet than the one that goes out. */
static __always_inline int netkit_frame_lies(struct __sk_buff *skb)
{
	__be16 type;

	if (!config.at_netkit)
		return 0;
	return bpf_skb_load_bytes(skb, 12, &type, sizeof(type)) || type != skb->protocol;
}

#endif
