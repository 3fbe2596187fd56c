package policy

import (
	"weftnet.io/weftnet/internal/policy/named"
	"weftnet.io/weftnet/internal/policy/span"
)

// IP protocol numbers that policies name.
const (
	TCP    = span.TCP
	UDP    = span.UDP
	SCTP   = span.SCTP
	ICMP   = span.ICMP
	ICMPv6 = span.ICMPv6
)

// What rules say of ports: see package span; and whose names stand for which: see package named.
type (
	Port       = span.Port
	NamedPort  = span.NamedPort
	NamedPorts = span.NamedPorts
	Holder     = named.Holder
	Holders    = named.Holders
)

// Extended are the protocols without ports that policies name if the daemon's configuration lets them, Transports those that
// ANY stands for, AnyPort is every packet of every protocol.
var (
	Extended   = span.Extended
	Transports = span.Transports
	AnyPort    = span.AnyPort
)

// ParseNamedPorts is the inverse of NamedPorts.String.
func ParseNamedPorts(text string) NamedPorts { return span.ParseNamedPorts(text) }

// AllPorts is every packet of one protocol.
func AllPorts(protocol uint8) Port { return span.AllPorts(protocol) }

// OnePort is one port of one protocol.
func OnePort(protocol uint8, port uint16) Port { return span.OnePort(protocol, port) }

// ICMPType is all codes of one ICMP message type. The protocol is ICMP or ICMPv6.
func ICMPType(protocol, number uint8) Port { return span.ICMPType(protocol, number) }
