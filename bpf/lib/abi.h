/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * abi: every shape that kernel and agent share: map keys, map values, ring-buffer events, numbers.
 *
 * Go sees these through bpf/abi.c, from whose BTF tools/abigen writes internal/bpf/abi; nothing here is
 * written a second time. Addresses are 16 bytes, IPv4 mapped (RFC 4291 2.5.5.2), network byte order, as are
 * ports that are named *_port in a key. Everything else is host byte order. Enums are append-only, zero is none.
 */
#ifndef WEFT_ABI_H
#define WEFT_ABI_H

#include <linux/types.h>

#include "wire.h"

/* hosts: who lives at an address. Hash of exact addresses; prefixes holds true prefixes with the same value. */
struct host_key {
	struct addr addr;
	__u32 net; /* network id, 0 = the pod network */
	__u32 pad;
};

struct prefix_key {
	__u32 bits; /* 32 (net) + prefix length of the mapped address, 0..128 */
	__u32 net;
	struct addr addr;
};

enum host_flag {
	HOST_LOCAL = 1,	      /* a NIC of this node: ifindex is its host side */
	HOST_NODE = 2,	      /* an address of a node itself: this one if ifindex is 0 and HOST_LOCAL is set */
	HOST_CLUSTER = 4,     /* inside the cluster: never masqueraded */
	HOST_DIRECT = 8,      /* reached by plain routing, not by the overlay */
};

struct host {
	__u32 identity;
	__u32 ifindex; /* host side of a local NIC, else 0 */
	__u32 flags;   /* enum host_flag */
	__u32 pad;
	struct addr tunnel; /* underlay address of the node it lives on; zero: none */
};

/* nics: a local NIC by the ifindex of its host side. 0: the node itself, there while a policy selects it. */
struct nic {
	__u32 incarnation; /* number of this attachment on this node, never used twice */
	__u32 identity;
	__u32 set;	   /* index into sets */
	__u32 net;	   /* network id */
	__u64 revision;	   /* since when it has this set: verdicts older than this are asked again */
	struct addr ipv4;  /* zero: has none */
	struct addr ipv6;
	__u8 mac[6];	   /* of the workload's side */
	__u8 host_mac[6];  /* of the host's side: the workload's gateway */
	__u32 pad;
};

/* sets: which generation of a policy set is in force, and since which revision. */
struct set {
	__u64 generation; /* first half of a policy key, and SET_HAS_...; one store flips it */
	__u64 revision;	  /* verdicts older than this are asked again */
	__u32 identity;	  /* of its NICs, and */
	__u32 ports;	  /* FNV-1a of their named ports: the next agent tells by both whose the slot is */
};

/* A set has entries for its tiers, which are asked one after the other: ADMIN, NORMAL, BASELINE. */
enum tier {
	TIER_NORMAL = 0,
	TIER_ADMIN = 1,
	TIER_BASELINE = 2,
};

/* ... and for views of its rules, if some are not simply enforced. */
enum view {
	VIEW_IN_FORCE = 0,
	VIEW_AS_MEANT = 1,  /* audited policies deny */
	VIEW_AS_STAGED = 2, /* staged policies are enforced */
};

#define LAYER_TIER 2 /* bits that policy_key.layer shifts these by */
#define LAYER_VIEW 4

/* policy: longest prefix over (protocol, port) inside (generation, peer, layer). */
struct policy_key {
	__u32 bits; /* 72 + 0 (any protocol), + 8 (protocol), + 8..24 (protocol and port prefix) */
	__u32 generation;
	__u32 peer; /* identity, 0 = any */
	__u8 layer;  /* enum direction | tier << LAYER_TIER | view << LAYER_VIEW */
	__u8 protocol;	  /* IP protocol number */
	__be16 port; /* of the workload that offers the service; ICMP: type << 8 | code */
};
#define POLICY_BITS_FIXED 72

/* In set.generation: what the generation has beside its tier NORMAL in force. */
#define SET_HAS_RANGES 0x100000000
#define SET_HAS_ADMIN 0x200000000
#define SET_HAS_BASELINE 0x400000000
#define SET_HAS_MEANT 0x800000000
#define SET_HAS_STAGED 0x1000000000

/* What kind of thing has an address. */
enum place {
	PLACE_NONE = 0,
	PLACE_OUTSIDE = 1, /* neither pod nor node */
	PLACE_NODE = 2,
	PLACE_POD = 3,
};

/* ranges: which class the rules of a generation put an address in; a class stands in policy_key.peer beside identities. */
struct range_key {
	__u32 bits; /* 96 + prefix length of the mapped address, 0..128 */
	__u32 generation;
	__u32 place; /* enum place */
	__u32 pad;
	struct addr addr;
};
#define RANGE_BITS_FIXED 96

struct policy {
	__u32 precedence; /* the higher wins between (peer) and (any peer) */
	__u32 rules;	  /* number of the list of rules that made this entry; 0 = none */
	__u16 proxy_port;
	__u8 verdict; /* enum verdict */
	__u8 match;   /* enum match */
};

#include "abi/ct.h"

/* shares: how much of what all use together one NIC holds. Key: incarnation of the NIC that opened the connection, or
 * that was called from elsewhere; 0: what concerns no NIC of this node. What it calls and what calls it are held apart, so
 * that a crowd of callers leaves it its own calls. Nobody holds more of each than config.*_limit. */
#define OWNER_CARRIED 0xffffffff /* of what the node's netfilter carries for others with the node's address */

enum shared {
	SHARED_CONNECTIONS = 0, /* that the owner opened */
	SHARED_TRANSLATIONS = 1,
	SHARED_FRAGMENTS = 2,
	SHARED_CALLED = 3, /* connections that others opened to the owner; they lie in the same table */
};
#define SHARED_KINDS 4
#define SWEEP_KEYS 512 /* that one run of sweep looks at */

/* openings: keys of the connections of TCP from elsewhere that are not answered yet, each at a random place. */
#define OPENINGS 32768
/* callers: connections that one address has open to one owner, counted at a hash of both. */
#define CALLERS 65536

struct share {
	__s64 held[SHARED_KINDS];    /* by enum shared */
	__u64 refused[SHARED_KINDS]; /* new ones that found the share used up */
};

/* services: a frontend. Backends are found through slots (0-based). */
enum service_flag {
	SERVICE_AFFINITY = 1, /* one client stays with one backend */
};

struct service_key {
	struct addr addr;
	__be16 port;
	__u8 protocol; /* port and protocol 0: whatever else is sent to a cluster address, which is refused */
	__u8 pad;
	__u32 net;
};

struct service {
	__u32 id;
	__u32 count; /* backends that take new connections */
	__u32 flags; /* enum service_flag */
	__u32 affinity_seconds;
};

struct slot_key {
	__u32 service; /* service id */
	__u32 slot;    /* or SLOT_TAKES | backend id: with affinity, that this backend takes new connections */
};
#define SLOT_TAKES 0x80000000

struct backend {
	struct addr addr;
	__be16 port;
	__u16 protocol;
	__u32 id;
};

struct affinity_key {
	struct addr client;
	__u32 service;
	__u32 pad;
};

struct affinity {
	__u32 backend;
	__u32 pad;
	__u64 used; /* ns */
};

/* translations: of a connection's addresses, alive as long as it is in conntrack. */
enum nat_kind {
	NAT_OUT = 0,	 /* masquerade: the workload's tuple gives the node's address and port */
	NAT_BACK = 1,	 /* its answers, as they come: gives the workload's address and port */
	NAT_SERVICE = 2, /* what a client called gives the backend that it has */
};

struct nat_key {
	struct addr src;
	struct addr dst;
	__be16 src_port; /* ICMP echo: the identifier, dst_port 0 */
	__be16 dst_port;
	__u8 protocol;
	__u8 kind; /* enum nat_kind */
	__u16 pad;
};

struct nat {
	struct addr addr;
	__be16 port;
	__be16 source_port; /* NAT_SERVICE: the client's towards the backend; 0: its own */
	__u32 backend; /* NAT_SERVICE: its id; 0: what the client called itself */
	__u64 opened;  /* ns, CLOCK_MONOTONIC */
	__u32 owner;   /* whose share holds it */
	__u32 pad2;
};

/* fragments: the header of a datagram, as far as it is asked about, learnt from its first fragment. */
struct fragment_key {
	struct addr src;
	struct addr dst;
	__u32 id;
	__u32 protocol; /* that the fragment's own header says follows: options, perhaps */
};

struct fragment {
	__be16 src_port;
	__be16 dst_port;
	__u32 owner;   /* whose share holds it */
	__u64 expires; /* ns, CLOCK_MONOTONIC */
	__u8 protocol;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 icmp_request;
	__u16 headers; /* how many bytes of the datagram these are: none of it that comes later begins there */
	__u16 pad;
};

#define REVISION_BUCKETS 4096 /* peer revisions, by hash of the peer's address */

#endif
