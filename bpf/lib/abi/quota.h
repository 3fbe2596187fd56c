/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/quota: how much of what all use together one NIC holds. */
#ifndef WEFT_ABI_QUOTA_H
#define WEFT_ABI_QUOTA_H

#include "map.h"

/* Key: incarnation of the NIC that opened the connection, or
 * that was called from elsewhere; 0: what concerns no NIC of this node. What it calls and what calls it are held apart, so
 * that a crowd of callers leaves it its own calls. No owner holds more of each than config.*_limit. */
#define OWNER_SERVICE 0x80000000 /* | its id: a service that is called from outside, which holds what leads on its calls */
#define OWNER_ALL 0xfffffffe /* not one: what all of them hold together */
#define OWNER_CARRIED 0xfffffffd /* of what the node's netfilter carries for others with the node's address */

enum quota_kind {
	QUOTA_CONNECTIONS = 0, /* that the owner opened */
	QUOTA_TRANSLATIONS = 1,
	QUOTA_FRAGMENTS = 2,
	QUOTA_CALLED = 3, /* connections that others opened to the owner; they lie in the same table */
};
#define QUOTA_KINDS 4
#define QUOTA_PARTS 4 /* no owner holds more of a table than one of so many parts */
#define QUOTA_KEPT 8 /* one of so many parts of a table is for owners that hold less than their least */
#define QUOTA_LEAST 1024 /* which is one of so many parts: a node has room for 128 such owners, however much the others took */

struct quota {
	__s64 held[QUOTA_KINDS];    /* by enum quota_kind */
	__u64 refused[QUOTA_KINDS]; /* new ones that found the quota used up */
};

MAP(BPF_MAP_TYPE_HASH, quota, __u32, struct quota, 16384, BPF_F_NO_PREALLOC);

#endif
