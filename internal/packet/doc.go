// Package packet is the one-line notation for packets that tests and tools speak.
//
//	tcp 10.0.0.5:4000 > 10.0.0.9:80 S
//	eth 02:00:00:00:00:0a > 02:00:00:00:00:0b udp [fd00::5]:4000 > [fd00::9]:53 len 10 ttl 63
//	icmp 10.0.0.5 > 10.0.0.9 echo 7 1
//	icmp 10.0.0.1 > 10.0.0.5 unreachable port {udp 10.0.0.5:4000 > 10.0.0.9:53 len 10}
//	tcp 10.0.0.5 > 10.0.0.9 frag 1480 id 9 len 20
//	arp who-has 10.0.0.1 tell 10.0.0.5
//	ns fe80::5 > ff02::1:ff00:1 target fd00::1 slla 02:00:00:00:00:01
//	vxlan 192.168.0.1:40000 > 192.168.0.2:8472 vni 4660 {tcp 10.0.0.5:4000 > 10.0.1.9:80 S}
//
// Parse makes the Ethernet frame, Format the line. What a line leaves out has the value that makes the packet valid:
// lengths and checksums are right, TTL is 64 (255 for NDP), Ethernet goes from SrcMAC to DstMAC, or to the address
// that broadcast and multicast ask for. Format leaves out exactly these, so that what a script must say is what it is
// about. The two are exact inverses: Parse(Format(frame)) is frame for any bytes at all, since what the notation
// cannot say is written `type 0x0800 hex 45…` or `bytes hex …`.
//
// # Grammar
//
//	frame  = [ "eth" MAC ">" MAC ] [ "vlan" N ] body | "bytes" "hex" HEX
//	body   = "arp" "who-has" IP "tell" IP | "arp" IP "is-at" MAC "tell" IP | "type" N "hex" HEX | ip
//	ip     = ( "tcp" | "udp" | "sctp" ) IP:PORT > IP:PORT … | "icmp" IP > IP message
//	       | ( "ns" | "na" ) IP > IP "target" IP … | "vxlan" IP:PORT > IP:PORT "vni" N "{" frame "}"
//	       | "ip" IP > IP "proto" N
//
// Words that may follow, in any order:
//
//	any IP     ttl N  tos N  id N  frag BYTES  mf  df  flow N (IPv6 flow label)  ext N,N (IPv6 extension headers of
//	           8 bytes)  dstopts HEX (an IPv6 destination options header before these, what follows its
//	           length)  ipopts HEX  iplen N  ipsum N  cut N (only the first N bytes of the IP packet exist)
//	payload    len N (bytes 0, 1, 2, …) or hex HEX
//	tcp        flags from FSRPAUEC, "-" for none  seq N  ack N  win N  urg N  opts HEX  sum N
//	udp        udplen N  sum N
//	sctp       init, init-ack, data, abort, shutdown, shutdown-ack, cookie-echo, cookie-ack, shutdown-complete  tag N  sum N
//	icmp       echo ID SEQ | reply ID SEQ | unreachable CODE {ip} | toobig MTU {ip} | timeout CODE {ip}
//	           | type N code N rest N;  CODE is a number or net host protocol port admin (IPv4), noroute admin scope
//	           address port (IPv6), ttl, reassembly (timeout)
//	arp        sha MAC  tha MAC
//	ns, na     slla MAC  tlla MAC  router  solicited  override
//
// A fragment with an offset has no transport header and so no ports.
package packet
