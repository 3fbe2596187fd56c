/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/sweep: what the agent asks the program sweep to look at: keys of one table. */
#ifndef WEFT_ABI_SWEEP_H
#define WEFT_ABI_SWEEP_H

#include "ct.h"
#include "fragment.h"
#include "nat.h"

#define SWEEP_GRACE_SECONDS 1 /* after its time before an entry goes, and a translation's least age: no program holds a pointer to it any more */
#define SWEEP_KEYS 512 /* that one run of sweep looks at */

union sweep_key {
	struct ct_key connection;
	struct nat_key translation;
	struct fragment_key fragment;
};

/* What is done with what lies at the keys. */
enum sweep_what {
	SWEEP_FINISHED = 0, /* it goes, if it is finished */
	SWEEP_EXEMPT = 1,   /* connections get CT_EXEMPT */
	SWEEP_MADE = 2,	    /* the agent has put in connections that no workload owns: count them */
	SWEEP_PROGRESS = 3, /* what connections have carried so far is told */
};

/* What to look at: keys of one table. */
struct sweep {
	__u32 table;   /* enum quota_kind */
	__u32 count;   /* of keys */
	__u32 removed; /* out: how many went, or were found */
	__u32 what; /* enum sweep_what */
	union sweep_key keys[SWEEP_KEYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct sweep);
	__uint(max_entries, 1);
} sweeping SEC(".maps");

#endif
