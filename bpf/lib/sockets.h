/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* sockets: whose calls of services are led to backends at their sockets. */
#ifndef WEFT_SOCKETS_H
#define WEFT_SOCKETS_H

#include "abi/socket.h"

volatile const struct socket_config sockets = {};

#endif
