/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/ipcache: who lives at an address. Map ipcache is a hash of exact addresses, prefixes a trie of prefixes, with the same value. */
#ifndef WEFT_ABI_IPCACHE_H
#define WEFT_ABI_IPCACHE_H

#include "addr.h"
#include "map.h"

/* Reserved identities; the numbers are Cilium's (docs/compatibility.md). */
enum identity {
	IDENTITY_UNKNOWN = 0,
	IDENTITY_HOST = 1,
	IDENTITY_WORLD = 2,
	IDENTITY_UNMANAGED = 3,
	IDENTITY_HEALTH = 4,
	IDENTITY_INIT = 5,
	IDENTITY_REMOTE_NODE = 6,
	IDENTITY_KUBE_APISERVER = 7,
	IDENTITY_INGRESS = 8,
	IDENTITY_WORLD_IPV4 = 9,
	IDENTITY_WORLD_IPV6 = 10,
	IDENTITY_RESERVED = 255, /* the last that is not a workload's */
};

struct ipcache_key {
	struct addr addr;
	__u32 net; /* network id, 0 = the pod network */
	__u32 pad;
};

struct prefix_key {
	__u32 bits; /* 32 (net) + prefix length of the mapped address, 0..128 */
	__u32 net;
	struct addr addr;
};

enum ipcache_flag {
	IPCACHE_LOCAL = 1,	      /* on this node: a NIC (it has an ifindex), an address of the node (IPCACHE_NODE), or its pod prefix */
	IPCACHE_NODE = 2,	      /* an address of a node itself: of this one if IPCACHE_LOCAL is set, too */
	IPCACHE_CLUSTER = 4,     /* inside the cluster: never masqueraded */
	IPCACHE_DIRECT = 8,      /* reached by native routing, not through the tunnel */
	IPCACHE_VTEP = 16, /* a VTEP, or, with `tunnel`, addresses behind it: see vtep.h */
	IPCACHE_PORTLESS = 32, /* an address of a node at which it offers no node ports */
};

struct ipcache {
	__u32 identity;
	__u32 ifindex; /* host side of a local NIC, else 0 */
	__u16 flags;   /* enum ipcache_flag */
	__u8 mac[6];   /* IPCACHE_VTEP: inner destination of packets to it */
	struct addr tunnel; /* underlay address of its node, or address of its VTEP; zero: none */
};

/* What kind of thing has an address. */
enum place {
	PLACE_NONE = 0,
	PLACE_OUTSIDE = 1, /* neither pod nor node */
	PLACE_NODE = 2,
	PLACE_POD = 3,
};

MAP(BPF_MAP_TYPE_HASH, ipcache, struct ipcache_key, struct ipcache, 262144, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_LPM_TRIE, prefixes, struct prefix_key, struct ipcache, 65536, BPF_F_NO_PREALLOC);

#endif
