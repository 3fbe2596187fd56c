/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* netkit: what is different where from_pod runs as the workload's side of a netkit pair transmits. */
#ifndef WEFT_NETKIT_H
#define WEFT_NETKIT_H

#include "config.h"

/* A veth device reads the protocol off the frame. At netkit it is what the sender's socket says, and the frame, which goes
 * out as it is, may say otherwise. */
static __always_inline int netkit_frame_lies(struct __sk_buff *skb)
{
	__be16 type;

	if (!config.at_netkit)
		return 0;
	return bpf_skb_load_bytes(skb, 12, &type, sizeof(type)) || type != skb->protocol;
}

#endif
