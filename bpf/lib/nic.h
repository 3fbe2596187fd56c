/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* nic: a local NIC, by the ifindex of its host side. */
#ifndef WEFT_NIC_H
#define WEFT_NIC_H

#include "abi/nic.h"
#include "config.h"

static __always_inline struct nic *nic_at(__u32 ifindex)
{
	return bpf_map_lookup_elem(&nics, &ifindex);
}

/* The network of what comes or goes by a device that is no workload's. */
static __always_inline __u32 net_of_device(void)
{
	return NET_PODS;
}

#endif
