// Package callee reads and writes what is called: an address and port, with a protocol.
//
//	to, err := callee.Parse("10.96.0.10:53/udp", "")
//	fmt.Println(to.Address, to) // 10.96.0.10:53 10.96.0.10:53/udp
package callee

import (
	"fmt"
	"net/netip"
	"strings"

	"weftnet.io/weftnet/internal/table"
)

// Protocols are those that services have, by name.
var Protocols = map[string]uint8{"tcp": 6, "udp": 17, "sctp": 132}

// ProtocolName is the name of a protocol; that of 0 is any.
func ProtocolName(number uint8) string {
	for name, n := range Protocols {
		if n == number {
			return name
		}
	}
	if number == 0 {
		return "any"
	}
	return fmt.Sprint(number)
}

// Callee is an address and port with a protocol.
type Callee struct {
	Address  netip.AddrPort
	Protocol uint8
}

// Row is the key of its frontend.
func (c Callee) Row() table.Frontend {
	return table.Frontend{Address: c.Address.Addr(), Port: c.Address.Port(), Protocol: c.Protocol}
}

func (c Callee) String() string { return c.Address.String() + "/" + ProtocolName(c.Protocol) }

// Parse reads 10.96.0.10:53, [fd00::10]:53, either with /udp behind it; a protocol beside it says the same. If neither says one it is TCP.
func Parse(to, protocol string) (c Callee, err error) {
	rest, behind, has := strings.Cut(to, "/")
	switch {
	case has && protocol != "" && !strings.EqualFold(behind, protocol):
		return c, fmt.Errorf("to: is it %s or %s?", behind, protocol)
	case !has && protocol != "":
		behind = protocol
	case !has:
		behind = "tcp"
	}
	known := false
	if c.Protocol, known = Protocols[strings.ToLower(behind)]; !known {
		return c, fmt.Errorf("protocol %q is not one of tcp, udp, sctp", behind)
	}
	at, err := netip.ParseAddrPort(rest)
	if err != nil || at.Port() == 0 {
		return c, fmt.Errorf("to: %q is no address with a port; write 10.96.0.10:53 or [fd00::10]:53", to)
	}
	c.Address = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	return c, nil
}
