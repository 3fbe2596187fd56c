/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/lb: services and their backends. */
#ifndef WEFT_ABI_LB_H
#define WEFT_ABI_LB_H

#include "addr.h"
#include "map.h"

/* Map services has frontends. Their backends are found by slots, which begin at 0. */
enum service_flag {
	SERVICE_AFFINITY = 1, /* one client stays with one backend */
	SERVICE_SOURCES = 2,  /* no client calls it but those of service_sources */
	SERVICE_BY_NODE = 4, /* a node port that each node leads to backends of its own: at another node it is that node's to say which */
	SERVICE_DIRECT = 8,   /* backends on other nodes answer straight to the client: see dsr.h */
	SERVICE_SILENT = 16, /* without a backend here its callers are not told: there are some on other nodes */
	SERVICE_LEFT = 64, /* a backend of another service was one of this: slots have SLOT_LEFT */
	SERVICE_PASSES = 32, /* who may not call it, or finds no backend, goes on as if it were not there: by SCOPE_BEHIND, or as it is */
};

/* Who calls: the same address may be served by others for each. */
enum service_scope {
	SCOPE_CLUSTER = 0, /* pods and processes of this node */
	SCOPE_OUTSIDE = 1, /* machines that reach this node by its devices */
	SCOPE_HERE = 2,	   /* either, at an address of this node: with the unspecified address, a hostPort */
	SCOPE_BEHIND = 3,  /* what passes a frontend of SCOPE_CLUSTER */
};

struct service_key {
	struct addr addr;
	__be16 port;
	__u8 protocol; /* port and protocol 0: whatever else is sent to a cluster address, which is refused */
	__u8 scope;    /* enum service_scope */
	__u32 net;
};

struct service {
	__u32 id;
	__u32 count; /* backends that take new connections */
	__u32 flags; /* enum service_flag */
	__u32 affinity_seconds;
	__u64 table;	  /* of map maglev, in which calls are hashed to a backend */
	__u32 table_size; /* 0: it has none, the choice is by chance */
	__u32 pad;
};

struct slot_key {
	__u32 service; /* service id */
	__u32 slot;    /* or SLOT_TAKES | backend id: with affinity, that this backend takes new connections */
};
#define SLOT_TAKES 0x80000000
#define SLOT_LEFT 0x40000000 /* | backend id: of UDP, that this backend was one of the service, and is one of another still */

/* maglev: part of a table. Its number is a digest of all that it is computed from: one number never names two tables, a table is never
 * changed, and frontends with the same backends share it. So what a packet reads of it goes with the row of services that named it. */
struct maglev_key {
	__u64 table;
	__u32 part; /* element / MAGLEV_ELEMENTS */
	__u32 pad;
};

/* As much as fits into 512 bytes together with the key and what the kernel keeps beside an entry of a hash. */
#define MAGLEV_ELEMENTS 110
struct maglev_part {
	__u32 backend[MAGLEV_ELEMENTS]; /* backend ids */
};

/* service_sources: who may call a frontend with SERVICE_SOURCES; the longest prefix answers: 1: may, 0: may not. */
struct source_key {
	__u32 bits; /* SOURCE_BITS_FIXED + prefix length of the mapped address, 0..128 */
	__u32 service;
	struct addr addr;
};
#define SOURCE_BITS_FIXED 32

struct backend {
	struct addr addr;
	__be16 port;
	__u16 protocol;
	__u32 id;
};

struct affinity_key {
	struct addr client;
	__u32 service;
	__u32 net;
};

struct affinity {
	__u32 backend;
	__u32 pad;
	__u64 used; /* ns */
};

MAP(BPF_MAP_TYPE_HASH, services, struct service_key, struct service, 65536, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_HASH, slots, struct slot_key, __u32, 262144, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_HASH, maglev, struct maglev_key, struct maglev_part, 262144, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_HASH, backends, __u32, struct backend, 131072, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_LPM_TRIE, service_sources, struct source_key, __u32, 65536, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_LRU_HASH, affinities, struct affinity_key, struct affinity, 65536, 0);

/* What programs are told of services when they are loaded. */
struct lb_config {
	struct addr node4; /* this node's address: calls from outside that go on to another node leave with it; zero: none do */
	struct addr node6;
	__u16 node_port_min; /* host byte order */
	__u16 node_port_max;
	__u8 outside; /* calls from outside are translated here, by no other proxy */
	__u8 host_ports; /* pods' hostPorts are led on here, by no other plugin */
	__u8 pad[2];
	__u32 call_key[10]; /* what calls are hashed with to choose an element of a table */
};

#endif
