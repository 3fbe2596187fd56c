/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/close: the event of a connection's end, EVENT_CLOSE, and that of one that goes on, EVENT_PROGRESS. */
#ifndef WEFT_ABI_CLOSE_H
#define WEFT_ABI_CLOSE_H

#include "ct.h"
#include "event.h"

/* How a connection ended. */
enum ending {
	ENDING_NONE = 0,
	ENDING_FIN = 1,	    /* TCP: both ends have sent a FIN */
	ENDING_RESET = 2,   /* TCP: a RST that the other end believes, and no packet after it that shows otherwise: told when the row goes */
	ENDING_IDLE = 3,    /* no packet for as long as it is remembered */
	ENDING_EVICTED = 4, /* made room for another */
};

/* Source of the event is what opened the connection, destination what was called. */
struct close_event {
	struct event event;
	__u64 opened; /* ns, CLOCK_MONOTONIC; 0: by a version that did not note it */
	__u64 last;   /* ns: of the last packet; exact if that packet ended it, else to a second */
	struct carried sent;	 /* by the source */
	struct carried received; /* by the source */
	__u32 ending; /* enum ending */
	__u32 pad;
	struct carried told_sent; /* of sent: what earlier events have told */
	struct carried told_received;
};

#endif
