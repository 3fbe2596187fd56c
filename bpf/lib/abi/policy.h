/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/policy: sets of entries, the classes that they put addresses in, and the revisions by which verdicts grow old. */
#ifndef WEFT_ABI_POLICY_H
#define WEFT_ABI_POLICY_H

#include "addr.h"
#include "map.h"

enum direction {
	DIRECTION_NONE = 0,
	DIRECTION_INGRESS = 1,
	DIRECTION_EGRESS = 2,
};

enum verdict {
	VERDICT_NONE = 0,
	VERDICT_ALLOW = 1,
	VERDICT_DENY = 2,	   /* a deny rule */
	VERDICT_DENY_IMPLICIT = 3, /* isolated and nothing allows */
	VERDICT_AUDIT = 4,	   /* would be denied, passes */
	VERDICT_REDIRECT = 5,	   /* to a proxy */
	VERDICT_PASS = 6,	   /* of entries only: the next tier decides */
};

/* What of the peer and port a rule matched on; Hubble's policy_match_type. */
enum match {
	MATCH_NONE = 0,
	MATCH_L3_ONLY = 1,
	MATCH_L3_L4 = 2,
	MATCH_L4_ONLY = 3,
	MATCH_ALL = 4,
	MATCH_L3_PROTO = 5,
	MATCH_PROTO_ONLY = 6,
};

/* sets: which generation of a policy set is in force, and since which revision. */
struct set {
	__u64 generation; /* policy_key.generation in the low 32 bits, SET_HAS_... above; one store flips both */
	__u64 revision;	  /* verdicts older than this are asked again */
	__u32 identity;	  /* of its NICs */
	__u32 ports;	  /* FNV-1a of their named ports; by it and identity the next agent knows the set again */
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

struct policy {
	__u32 precedence; /* the higher wins between (peer) and (any peer) */
	__u32 rules;	  /* number of the list of rules that made this entry; 0 = none */
	__u16 proxy_port;
	__u8 verdict; /* enum verdict */
	__u8 match;   /* enum match */
};

/* policy_verdicts: verdicts that policies gave, when a connection began or was judged anew, one number per CPU. The index is
 * enum direction << VERDICTS_DIRECTION | enum verdict << VERDICTS_VERDICT | enum match. */
#define VERDICTS_VERDICT 3
#define VERDICTS_DIRECTION 6
#define VERDICTS (3 << VERDICTS_DIRECTION)

/* In set.generation: what the generation has beside its tier NORMAL in force, or has not. */
#define SET_HAS_RANGES 0x100000000
#define SET_HAS_ADMIN 0x200000000
#define SET_HAS_BASELINE 0x400000000
#define SET_HAS_MEANT 0x800000000
#define SET_HAS_STAGED 0x1000000000
#define SET_NAMES_NO_PEER 0x2000000000 /* all its entries are for any peer; a former agent's word has it not, and may name none either */

/* ranges: which class the rules of a generation put an address in; a class stands in policy_key.peer beside identities. */
struct range_key {
	__u32 bits; /* 96 + prefix length of the mapped address, 0..128 */
	__u32 generation;
	__u32 place; /* enum place */
	__u32 pad;
	struct addr addr;
};
#define RANGE_BITS_FIXED 96

#define REVISION_BUCKETS 4096 /* peer revisions, by hash of the peer's address */

MAP(BPF_MAP_TYPE_ARRAY, sets, __u32, struct set, 16384, 0);
MAP(BPF_MAP_TYPE_LPM_TRIE, policies, struct policy_key, struct policy, 262144, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_LPM_TRIE, ranges, struct range_key, __u32, 262144, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, policy_verdicts, __u32, __u64, VERDICTS, 0);
MAP(BPF_MAP_TYPE_ARRAY, revision, __u32, __u64, 1, 0); /* of the node: only grows */
MAP(BPF_MAP_TYPE_ARRAY, peer_revisions, __u32, __u64, REVISION_BUCKETS, 0);

#endif
