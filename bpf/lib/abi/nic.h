/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/nic: a local NIC by the ifindex of its host side. 0: the node itself, there while a policy selects it. */
#ifndef WEFT_ABI_NIC_H
#define WEFT_ABI_NIC_H

#include "addr.h"
#include "map.h"

#define NET_PODS 0 /* the pod network, in which nodes are, too */

struct nic {
	__u32 incarnation; /* number of this attachment on this node, never used twice */
	__u32 identity;
	__u32 set;	   /* index into sets */
	__u32 net;	   /* network id; every key that holds an address names its network */
	__u64 revision;	   /* since it has this set: policy is asked again where a remembered verdict is older */
	struct addr ipv4;  /* zero: has none */
	struct addr ipv6;
	__u8 mac[6];	   /* of the workload's side */
	__u8 host_mac[6];  /* of the host's side: the workload's gateway */
	__u32 pad;
};

MAP(BPF_MAP_TYPE_HASH, nics, __u32, struct nic, 4096, BPF_F_NO_PREALLOC);

#endif
