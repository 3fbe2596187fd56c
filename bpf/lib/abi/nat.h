/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/nat: translations of a connection's addresses; a row stays as long as its connection is in conntrack. */
#ifndef WEFT_ABI_NAT_H
#define WEFT_ABI_NAT_H

#include "addr.h"
#include "map.h"

enum nat_kind {
	NAT_OUT = 0,	 /* masquerade: key: as the workload sends; value: the node's address and port */
	NAT_BACK = 1,	 /* key: an answer as it comes; value: the workload's address and port */
	NAT_SERVICE = 2, /* key: what a client sends to a service; value: its backend */
};

struct nat_key {
	struct addr src;
	struct addr dst;
	__be16 src_port; /* ICMP: identifier and type of a request, as icmp_ports puts them */
	__be16 dst_port;
	__u8 protocol;
	__u8 kind; /* enum nat_kind */
	__u16 net;
};

struct nat {
	struct addr addr;
	__be16 port;
	__be16 source_port; /* NAT_SERVICE: the client's towards the backend; 0: its own */
	__u32 backend; /* NAT_SERVICE: id of the backend; 0: the client called the backend's own address */
	__u64 opened;  /* ns, CLOCK_MONOTONIC */
	__u32 owner;   /* whose quota holds it */
	__u32 service; /* NAT_SERVICE: id of the frontend that has chosen the backend; 0: not known */
};

#define TRANSLATIONS 131072

MAP(BPF_MAP_TYPE_HASH, translations, struct nat_key, struct nat, TRANSLATIONS, BPF_F_NO_PREALLOC);
/* Whether translations has, or had, a row with a source_port: see clash.h. A look at it is cheaper than one for such a row. */
MAP(BPF_MAP_TYPE_ARRAY, clashed, __u32, __u32, 1, 0);

#endif
