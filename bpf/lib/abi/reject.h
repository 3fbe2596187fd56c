/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/reject: how many calls from outside are answered by an error. */
#ifndef WEFT_ABI_REJECT_H
#define WEFT_ABI_REJECT_H

#include "map.h"

/* As the kernel limits its own errors (icmp_msgs_per_sec, icmp_msgs_burst), on each CPU by itself. */
#define REFUSALS_PER_SECOND 1000
#define REFUSALS_AT_ONCE 50

/* What keeps a flood of calls from becoming a flood of answers, one per CPU: see reject_affords. */
struct refusals {
	__u64 tokens;
	__u64 filled; /* ns, CLOCK_MONOTONIC */
};

MAP(BPF_MAP_TYPE_PERCPU_ARRAY, refusals, __u32, struct refusals, 1, 0);

#endif
