/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/ct: what is remembered of a connection. */
#ifndef WEFT_ABI_CT_H
#define WEFT_ABI_CT_H

#include "addr.h"
#include "map.h"

/* ct: one entry per connection. The pair (address, port) that compares lower is `a`: one key for both ways. ICMP has types
 * and identifiers for ports, see icmp_ports, which may be equal numbers: so the key says who asks, too. */
struct ct_key {
	struct addr a;
	struct addr b;
	__be16 a_port;
	__be16 b_port;
	__u16 net; /* network ids are below 65,536 */
	__u8 protocol;
	__u8 asks; /* ICMP: enum ct_asks; else 0 */
};

/* Who asked what an ICMP message of a connection is about. */
enum ct_asks {
	CT_ASKS_A = 1, /* a sends requests, b answers */
	CT_ASKS_B = 2,
	CT_TELLS_A = 3, /* a sends what nothing answers */
	CT_TELLS_B = 4,
};

/* Verdict of one end. Valid while the NIC's, the set's and the peer's revision are no newer, for who asked. */
struct ct_verdict {
	__u64 verdict_revision; /* revision << 8 | enum verdict, one store */
	__u32 asker; /* the NIC that gave it, the connection and what kind of peer it is about, mixed: see policy_asker */
	__u32 rules;
};

enum ct_flag {
	CT_FROM_B = 1,	   /* `b` opened the connection */
	CT_STACK = 2,	   /* both directions pass the host's netfilter */
	CT_SERVICE = 4,	   /* the client called `service`; the key has the backend */
	CT_CLOSING_A = 8,  /* FIN seen from a */
	CT_CLOSING_B = 16, /* FIN seen from b */
	CT_RESET = 32,	   /* a RST that the other end believes; the next packet that is none takes it back */
	CT_REPLIED = 64,
	CT_LOOPBACK = 128, /* a workload that reached itself through a service: source is the loopback address */
	CT_EXEMPT = 256,   /* the node's policy is not asked: carried for others, or open before it had one */
	CT_CALLED = 512,   /* others opened it to the owner: counts as QUOTA_CALLED */
	CT_OPENING = 1024, /* counts for no owner yet: one of `openings`, and the first to go */
	CT_SYN = 2048,	   /* TCP: its first packet was seen here */
	CT_ADOPTED = 4096, /* TCP: opened here by a later packet, so judged as if either end had called */
	CT_OPEN = 8192, /* TCP: each end has proved to hear the other, see tcp.h */
	CT_BEGUN_A = 16384, /* TCP: `next` of way a is known */
	CT_BEGUN_B = 32768,
	CT_ACKED_A = 65536, /* TCP: `acked` of way a is known */
	CT_ACKED_B = 131072,
	CT_HEARS_A = 262144, /* TCP: what a has acknowledged is what b began with */
	CT_HEARS_B = 524288,
	CT_FIN_A = 1048576, /* TCP: a FIN of a that did not come in order; it counts once b has acknowledged it */
	CT_FIN_B = 2097152,
	CT_ENDED = 4194304, /* its end is told, see account.h */
	CT_PLAIN = 8388608, /* opened by a workload while nothing was masqueraded: it keeps its address to its end */
	CT_ONE_WAY = 33554432, /* led on to a backend that answers straight to the client: nothing comes back by here */
	CT_TOLD = 67108864, /* the node that led it here has said what was called */
	CT_CARRIED = 134217728, /* led on to another node with this node's address: its answers come by here */
	CT_PROGRESS = 268435456, /* map progress has what is told of it so far */
	CT_NAMED = 16777216, /* opened to service at the caller's socket: both ends say the backend's address, and events the service's */
};

/* What has travelled one way of a connection. Counted as Linux' conntrack does: a packet that was not segmented yet is one, and
 * bytes are those of IP packets. */
struct carried {
	__u64 packets;
	__u64 bytes;
};

/* How a packet goes on from the hook that let it pass. */
enum path_kind {
	PATH_NONE = 0,
	PATH_STACK = 1,	  /* through the host's stack */
	PATH_POD = 2,	  /* into a pod of this node */
	PATH_OVERLAY = 3, /* into the tunnel, to the node of the pod that it is for */
	PATH_DIRECT = 4,  /* out of the device that the host's own routes name */
	PATH_VTEP = 5,	  /* into the tunnel, to a machine that is no node: see vtep.h */
	PATH_GENEVE = 6,  /* a call by DSR, in the overlay of such calls: see geneve.h */
};

/* The path of one way of a connection between pods, as it was chosen. Valid while the target's revision is no newer, for
 * the same target and configuration: see path.h. */
struct ct_path {
	__u64 revision_path; /* revision << 8 | enum path_kind, one store */
	__u32 of; /* the target and the configuration it was chosen under, mixed: see path_of */
	__u32 ifindex; /* to a pod of this node: of the NIC's host side; else 0 */
	struct addr tunnel; /* PATH_OVERLAY: the other node's */
};

/* What travels one way of a connection. Each has a cache line of its own, since the two ends may be served by two CPUs. */
struct ct_way {
	__u32 next;  /* TCP: the number after what it has sent; until the connection is open: after its SYN, or, if none was seen, that of its last packet */
	__u32 acked; /* TCP: the last number that it acknowledged */
	__u32 fin;   /* CT_FIN_A, CT_FIN_B: the number after it */
	__u32 target; /* identity of the receiver, as it was when the path was chosen */
	struct carried carried; /* see account.h */
	struct ct_path path;
};

/* An element of the hash has 96 bytes before this, so that cache lines begin at expires, way_a, way_b and back_a. */
struct ct {
	struct ct_verdict egress;	/* at the source NIC */
	struct ct_verdict ingress; /* at the target NIC */
	__u64 expires;		/* ns, CLOCK_MONOTONIC */
	struct addr service;	/* CT_SERVICE, CT_NAMED: the address the client called */
	__be16 service_port;
	__be16 client_port; /* the client's own, where the key has another; 0: it is the same */
	__u32 flags;	/* enum ct_flag */
	__u32 source;	/* identity of who opened it */
	__u32 owner;	/* whose quota holds it: key of quota */
	__u32 caller;	/* index of its counter in callers, plus 1; 0: not counted there */
	__u32 destination; /* identity of what was called, as it was then */
	__u64 opened; /* ns, CLOCK_MONOTONIC; 0: by a version that did not note it */
	__u64 last; /* of its last packet, to a second; ns, CLOCK_MONOTONIC */
	struct ct_way way_a; /* sent by a */
	struct ct_way way_b;
	struct ct_verdict back_a; /* CT_ADOPTED: what a's NIC says of the connection, had the other end opened it */
	struct ct_verdict back_b;
};

#define CONNECTIONS 131072

/* openings: keys of the TCP connections from elsewhere that are not open yet, each at a random index. */
#define OPENINGS 32768
/* spares: keys of connections that were opened while their owner held more than a quarter of its quota. At the limit one that is finished
 * gives way, see spare.h. */
#define SPARES 32768
/* callers: connections that one address has open to one owner, counted at a hash of both. */
#define CALLERS 65536

MAP(BPF_MAP_TYPE_HASH, connections, struct ct_key, struct ct, CONNECTIONS, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_ARRAY, openings, __u32, struct ct_key, OPENINGS, 0);
MAP(BPF_MAP_TYPE_ARRAY, spares, __u32, struct ct_key, SPARES, 0);
MAP(BPF_MAP_TYPE_ARRAY, callers, __u32, __u32, CALLERS, 0);

#endif
