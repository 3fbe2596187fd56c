/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* nic: a NIC of this node, by the ifindex of its host side; 0: the node itself, see node.h. */
#ifndef WEFT_NIC_H
#define WEFT_NIC_H

#include "abi/nic.h"
#include "config.h"

static __always_inline struct nic *nic_at(__u32 ifindex)
{
	return bpf_map_lookup_elem(&nics, &ifindex);
}

/* The network of packets at a device that is no workload's: the one place to change once there is more than one. */
static __always_inline __u32 net_of_device(void)
{
	return NET_PODS;
}

#endif
