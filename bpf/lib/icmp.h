/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* icmp: numbers of both ICMPs. */
#ifndef WEFT_ICMP_H
#define WEFT_ICMP_H

/* RFC 792, RFC 4443, RFC 4861. */
#define ICMP_ECHOREPLY 0
#define ICMP_DEST_UNREACH 3
#define ICMP_SOURCE_QUENCH 4
#define ICMP_REDIRECT 5
#define ICMP_ECHO 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12
#define ICMP_TIMESTAMP 13
#define ICMP_INFO_REQUEST 15
#define ICMP_ADDRESS 17
#define ICMP6_ECHO_REQUEST 128
#define ICMP6_ECHO_REPLY 129
#define ICMP6_ND_SOLICIT 135
#define ICMP6_ND_ADVERT 136

#endif
