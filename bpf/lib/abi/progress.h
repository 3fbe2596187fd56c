/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/progress: what events have told of connections that go on, EVENT_PROGRESS. */
#ifndef WEFT_ABI_PROGRESS_H
#define WEFT_ABI_PROGRESS_H

#include "ct.h"

/* What events of a connection have told, all together. One half counts, while the sweep fills the other. */
struct progress {
	struct carried way_a[2];
	struct carried way_b[2];
	__u32 half; /* that counts; PROGRESS_OVER: the event of its end has taken it */
	__u32 pad;
};

#define PROGRESS_OVER 2

/* progress: of connections with CT_PROGRESS. */
MAP(BPF_MAP_TYPE_HASH, progress, struct ct_key, struct progress, CONNECTIONS, BPF_F_NO_PREALLOC);

#endif
