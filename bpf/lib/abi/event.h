/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/event: what the agent observes, and counters. */
#ifndef WEFT_ABI_EVENT_H
#define WEFT_ABI_EVENT_H

#include "addr.h"
#include "map.h"

/* The hook a packet was seen at. */
enum hook {
	HOOK_NONE = 0,
	HOOK_FROM_POD = 1,
	HOOK_TO_POD = 2,
	HOOK_FROM_NET = 3,
	HOOK_TO_NET = 4,
	HOOK_FROM_OVERLAY = 5,
	HOOK_TO_OVERLAY = 6,
	HOOK_XDP = 7,
	HOOK_FROM_NIC = 8,
	HOOK_TO_NIC = 9,
	HOOK_FROM_UPLINK = 10,
	HOOK_TO_UPLINK = 11,
	HOOK_FROM_BRIDGED = 12,
	HOOK_TO_BRIDGED = 13,
};

enum event_type {
	EVENT_NONE = 0,
	EVENT_DROP = 1,
	EVENT_VERDICT = 2, /* a policy gave its verdict on a new connection (or anew after a change) */
	EVENT_TRACE = 3,   /* a connection began, or was answered for the first time */
	EVENT_CLOSE = 4,   /* a connection ended: struct close_event */
	EVENT_PROGRESS = 5, /* what a connection that goes on has carried so far: the same, with no ending */
};

enum event_flag {
	EVENT_REPLY = 1,
	EVENT_TO_STACK = 2,
	EVENT_TO_OVERLAY = 4,
	EVENT_TO_NETWORK = 8,
	EVENT_SERVICE = 16, /* service holds what the client called */
	EVENT_NEW = 64,
	EVENT_SNAT = 128, /* a call from outside that goes on to another node with this node's address */
	EVENT_DSR = 256,  /* one whose backend, on another node, answers straight to the client; seen at either node */
};

#define EVENT_NETWORK 65536 /* times the number of the network that its addresses are in: the upper half of flags */

/* One record of the ring buffer `events`. Ports are host byte order; ICMP: type and code in the ports. */
struct event {
	__u64 time; /* ns, CLOCK_MONOTONIC */
	__u8 type;	 /* enum event_type */
	__u8 hook;	 /* enum hook */
	__u8 direction;	 /* enum direction */
	__u8 verdict;	 /* enum verdict */
	__u8 reason;	 /* enum drop_reason */
	__u8 match;	 /* enum match */
	__u8 protocol;
	__u8 tcp_flags; /* byte 13 of the TCP header */
	__u32 flags;	/* enum event_flag, and EVENT_NETWORK */
	__u32 source;	/* identity */
	__u32 destination;
	__u32 ifindex;	   /* where the packet was seen */
	__u32 incarnation; /* NIC whose policy spoke; 0: none */
	__u32 rules;	   /* list of rules that decided */
	__u32 length;	   /* bytes of the packet */
	__u16 src_port;
	__u16 dst_port;
	__u16 service_port;
	__u8 staged; /* enum verdict that staged policies would have led to; VERDICT_NONE: there are none */
	__u8 pad;
	__u32 staged_rules; /* list of rules that would have decided */
	struct addr src;
	struct addr dst;
	struct addr service;
};

/* Why a packet was dropped: Hubble's numbers where it has one, texts in internal/flow/drop.go. */
enum drop_reason {
	DROP_NONE = 0,
	DROP_INVALID_SOURCE_MAC = 130,
	DROP_INVALID_SOURCE_IP = 132,
	DROP_POLICY = 133,
	DROP_INVALID = 134,
	DROP_CT_INVALID_HEADER = 135,
	DROP_TOO_BIG = 136, /* for the way on, and it may not go in pieces */
	DROP_UNKNOWN_L4 = 142,
	DROP_UNKNOWN_ICMP4_TYPE = 144,
	DROP_WRITE = 141,
	DROP_TUNNEL_KEY = 147,
	DROP_GENEVE_OPTION = 149,
	DROP_UNKNOWN_TARGET = 150,
	DROP_STALE = 151,
	DROP_CT_FULL = 155,
	DROP_INVALID_EXTHDR = 156,
	DROP_NO_BACKEND = 158,
	DROP_NO_TUNNEL = 160,
	DROP_NO_CONFIG = 165,
	DROP_UNSUPPORTED_L2 = 166,
	DROP_NAT_NO_MAPPING = 167,
	DROP_NAT_PROTOCOL = 168,
	DROP_ENCAP_PROHIBITED = 170,
	DROP_INVALID_IDENTITY = 171,
	DROP_UNKNOWN_SENDER = 172,
	DROP_FRAGMENT_NOT_FOUND = 175,
	DROP_FORBIDDEN_ICMP6 = 176,
	DROP_NOT_IN_SOURCES = 177, /* the service takes calls of some sources alone, and this is none */
	DROP_POLICY_DENY = 181,
	DROP_INVALID_VNI = 183,
	DROP_NIC_NOT_READY = 203,
	DROP_FRAGMENT_FROM_WORLD = 207, /* the same, of one that came by the wire or the tunnel, where pieces may have changed places */
	/* Our own, where Hubble has none. */
	DROP_QUOTA = 240,	   /* the workload holds its quota of a table already */
	DROP_FRAGMENTS_FULL = 241, /* no room to remember a datagram's ports */
	DROP_NAT_FULL = 242,	   /* no room for a translation */
	DROP_NO_CONNECTION = 243,  /* answers a call that was never made: a SYN-ACK of no known connection */
	DROP_ICMP_UNRELATED = 244, /* an ICMP error about nothing that its receiver has sent to its sender */
	DROP_ROGUE_SERVER = 245,   /* a workload answers as a DHCP server on a network that it shares */
};

/* counters: packets and bytes, one per CPU, at hook << 8 | reason (reason 0: forwarded). */
#define COUNTERS (14 << 8)

struct counter {
	__u64 packets;
	__u64 bytes;
};

/* What keeps a flood of events from drowning the agent, one per CPU: see event_allowed. */
struct event_budget {
	__u64 tokens;
	__u64 filled; /* ns, CLOCK_MONOTONIC */
	__u64 lost;   /* events that found no token, or no room in the ring */
};

/* Beside that budget there is a small one for each owner, a reserve for when others have used up the first. Owners are told apart by their number's
 * remainder: those of a node follow each other. */
#define EVENT_RESERVES 512
#define EVENT_RESERVE 64 /* one of so many parts of the budget */
#define EVENT_ROOM (3 << 20) /* bytes of `events` that what comes out of the budget may fill */

MAP(BPF_MAP_TYPE_PERCPU_ARRAY, event_reserves, __u32, struct event_budget, EVENT_RESERVES, 0);
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, counters, __u32, struct counter, COUNTERS, 0);
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, event_budget, __u32, struct event_budget, 1, 0);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} events SEC(".maps");

#endif
